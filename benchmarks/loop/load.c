/* The load: CONNECTIONS clients that send 64-byte lines and check that the same lines come back.
 *
 *   volley  Every client sends a line, then every answer is received, then again. On the server's own core, with both
 *           under SCHED_BATCH (nobody preempts the other), each server finds exactly CONNECTIONS lines at a wake-up.
 *   stream  Each client sends its next line as soon as it has its answer. How many lines the server finds at a wake-up
 *           depends on who is faster; for throughput, with a core each.
 *
 * Usage: load PORT CONNECTIONS SECONDS volley|stream. Prints round trips and seconds. Exits 1 when an answer differs. */
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
static char line[LINE];

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static void ask(int fd) {
    if (send(fd, line, LINE, 0) != LINE) { perror("send"); exit(1); }
}

static void receive(int fd) {
    char answer[LINE];
    if (recv(fd, answer, LINE, MSG_WAITALL) != LINE || memcmp(answer, line, LINE)) {
        fprintf(stderr, "a wrong answer, or none\n");
        exit(1);
    }
}

static long volleys(int *fds, int count, double end) {
    long trips = 0;
    while (now() < end) {
        for (int i = 0; i < count; i++) ask(fds[i]);
        for (int i = 0; i < count; i++) receive(fds[i]);
        trips += count;
    }
    return trips;
}

static long stream(int *fds, int count, double end) {
    long trips = 0;
    int poller = epoll_create1(0);
    struct epoll_event ready[256];
    for (int i = 0; i < count; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fds[i]};
        epoll_ctl(poller, EPOLL_CTL_ADD, fds[i], &event);
        ask(fds[i]);
    }
    while (now() < end) {
        int found = epoll_wait(poller, ready, 256, 1000);
        for (int i = 0; i < found; i++) {
            receive(ready[i].data.fd);
            trips++;
            ask(ready[i].data.fd);
        }
    }
    for (int i = 0; i < count; i++) receive(fds[i]); /* nobody is left in the middle of a line */
    return trips + count;
}

int main(int argc, char **argv) {
    if (argc != 5) return 2;
    struct timeval patience = {.tv_sec = 10};
    int count = atoi(argv[2]), one = 1, *fds = calloc(count, sizeof *fds);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1])),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    memset(line, 'x', LINE);
    line[LINE - 1] = '\n';
    for (int i = 0; i < count; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(fds[i], (struct sockaddr *)&at, sizeof at)) { perror("connect"); return 1; }
        setsockopt(fds[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        setsockopt(fds[i], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    }
    for (int i = 0; i < count; i++) ask(fds[i]), receive(fds[i]); /* all are accepted and warm before time counts */
    printf("ready\n");
    fflush(stdout);
    if (getchar() == EOF) return 1; /* the other side notes what the server has cost so far */
    double began = now();
    long trips = !strcmp(argv[4], "volley") ? volleys(fds, count, began + atof(argv[3]))
                                            : stream(fds, count, began + atof(argv[3]));
    printf("%ld %.6f\n", trips, now() - began);
    fflush(stdout);
    getchar(); /* closing is no part of what is measured */
    return 0;
}
