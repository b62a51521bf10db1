/* The load: CONNECTIONS clients that each send one reading a line, wait for the line that answers it, and send the next.
 * Usage: line_load PORT CONNECTIONS SECONDS [TOKENS]. Prints the number of answered lines.
 * With TOKENS, a file of one token a line, each client first waits for the greeting and attaches with the next token. */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static const char reading[] = "temp=21.5\n";

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static void read_line(int fd, const char *expected) {
    char line[256];
    size_t size = 0;
    do {
        ssize_t got = recv(fd, line + size, 1, 0);
        if (got != 1 || ++size == sizeof line) { perror("recv"); exit(1); }
    } while (line[size - 1] != '\n');
    if (strncmp(line, expected, strlen(expected))) { fprintf(stderr, "unexpected: %.*s", (int)size, line); exit(1); }
}

int main(int argc, char **argv) {
    if (argc < 4) return 2;
    int connections = atoi(argv[2]), one = 1, poller = epoll_create1(0);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1])),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    FILE *tokens = argc > 4 ? fopen(argv[4], "r") : NULL;
    char token[256], hello[300], answer[4096];
    for (int i = 0; i < connections; i++) {
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
        if (connect(fd, (struct sockaddr *)&at, sizeof at)) { perror("connect"); return 1; }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (tokens) {
            if (!fgets(token, sizeof token, tokens)) { fprintf(stderr, "too few tokens\n"); return 1; }
            read_line(fd, "hardpoint ");
            int size = snprintf(hello, sizeof hello, "HELLO %s", token);
            if (send(fd, hello, size, 0) != size) return 1;
            read_line(fd, "OK ");
        }
        epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
        if (send(fd, reading, sizeof reading - 1, 0) < 0) return 1;
    }
    long answered = 0;
    struct epoll_event ready[256];
    double end = now() + atof(argv[3]);
    while (now() < end) {
        /* 0: it never sleeps. Waking a sleeping core costs the server that sends up to 5 us on a virtual machine, the more
         * often the slower the server is; here neither server pays it. */
        int count = epoll_wait(poller, ready, 256, 0);
        for (int i = 0; i < count; i++) {
            int fd = ready[i].data.fd;
            ssize_t got = recv(fd, answer, sizeof answer, 0);
            if (got <= 0 || answer[got - 1] != '\n' || (tokens && strncmp(answer, "OK 1\n", 5))) {
                fprintf(stderr, "a wrong answer: %.*s\n", (int)(got > 0 ? got : 0), answer);
                return 1;
            }
            answered++;
            if (send(fd, reading, sizeof reading - 1, 0) < 0) return 1;
        }
    }
    printf("%ld\n", answered);
    return 0;
}
