/* The load: one keep-alive connection for each request in REQUESTS, a file of requests that end with a NUL each. A
 * connection sends its request, waits for the whole answer, and sends it again: as a device does that posts every so often.
 * Usage: http_load PORT SECONDS REQUESTS. Prints the number of answers. Exits 1 at the first that is not a 200. */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MAX_CONNECTIONS = 1024, MAX_ANSWER = 4096 };

static struct client { int fd; char *request; size_t request_size, size; char answer[MAX_ANSWER]; } clients[MAX_CONNECTIONS];

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static int is_whole(struct client *client) {
    client->answer[client->size] = 0;
    char *end = strstr(client->answer, "\r\n\r\n"), *length = strcasestr(client->answer, "content-length:");
    return end && length && client->size >= (size_t)(end + 4 - client->answer) + atoi(length + 15);
}

static void ask(struct client *client) {
    client->size = 0;
    if (send(client->fd, client->request, client->request_size, 0) != (ssize_t)client->request_size) exit(1);
}

int main(int argc, char **argv) {
    if (argc != 4) return 2;
    static char requests[1 << 20];
    FILE *file = fopen(argv[3], "r");
    if (!file) { perror(argv[3]); return 1; }
    size_t total = fread(requests, 1, sizeof requests - 1, file);
    int one = 1, poller = epoll_create1(0), count = 0;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1])),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    for (char *next = requests; next < requests + total && count < MAX_CONNECTIONS; next += strlen(next) + 1) {
        struct client *client = &clients[count++];
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};
        client->request = next;
        client->request_size = strlen(next);
        client->fd = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(client->fd, (struct sockaddr *)&at, sizeof at)) { perror("connect"); return 1; }
        setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        epoll_ctl(poller, EPOLL_CTL_ADD, client->fd, &event);
        ask(client);
    }
    long answered = 0;
    struct epoll_event ready[256];
    double end = now() + atof(argv[2]);
    while (now() < end) {
        int some = epoll_wait(poller, ready, 256, 1000);
        for (int i = 0; i < some; i++) {
            struct client *client = ready[i].data.ptr;
            ssize_t got = recv(client->fd, client->answer + client->size, MAX_ANSWER - 1 - client->size, 0);
            if (got <= 0) { fprintf(stderr, "the server closed: %s\n", client->answer); return 1; }
            client->size += got;
            if (!is_whole(client)) continue;
            if (strncmp(client->answer, "HTTP/1.1 200", 12)) { fprintf(stderr, "%s\n", client->answer); return 1; }
            answered++;
            ask(client);
        }
    }
    printf("%ld\n", answered);
    return 0;
}
