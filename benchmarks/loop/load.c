/* The load: CONNECTIONS clients that each send one 64-byte line, wait for the same line back, and send the next.
 * Usage: load PORT CONNECTIONS SECONDS. Prints the number of round trips. Exits 1 when an answer differs. */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { LINE = 64 };

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

int main(int argc, char **argv) {
    if (argc != 4) return 2;
    int connections = atoi(argv[2]), one = 1, poller = epoll_create1(0);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1])),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    char line[LINE], answer[LINE];
    memset(line, 'x', LINE);
    line[LINE - 1] = '\n';
    for (int i = 0; i < connections; i++) {
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
        if (connect(fd, (struct sockaddr *)&at, sizeof at)) { perror("connect"); return 1; }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
        if (send(fd, line, LINE, 0) != LINE) return 1;
    }
    long trips = 0;
    struct epoll_event ready[256];
    double end = now() + atof(argv[3]);
    while (now() < end) {
        int count = epoll_wait(poller, ready, 256, 1000);
        for (int i = 0; i < count; i++) {
            int fd = ready[i].data.fd;
            if (recv(fd, answer, LINE, MSG_WAITALL) != LINE || memcmp(answer, line, LINE)) {
                fprintf(stderr, "a wrong answer\n");
                return 1;
            }
            trips++;
            if (send(fd, line, LINE, 0) != LINE) return 1;
        }
    }
    printf("%ld\n", trips);
    return 0;
}
