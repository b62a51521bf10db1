/* The yardstick: a line echo on epoll, one read and one write a wake-up, as plain as C allows.
 * Prints its port. Answers what ends in a newline at once; keeps an unfinished line until the rest is there. */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

struct connection { int fd; size_t kept; char line[8192]; };

int main(void) {
    static char input[65536];
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    int one = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), poller = epoll_create1(0);
    bind(listener, (struct sockaddr *)&at, sizeof at);
    listen(listener, 4096);
    getsockname(listener, (struct sockaddr *)&at, &size);
    printf("%d\n", ntohs(at.sin_port));
    fflush(stdout);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL}, ready[256];
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int count = epoll_wait(poller, ready, 256, -1);
        for (int i = 0; i < count; i++) {
            struct connection *c = ready[i].data.ptr;
            if (!c) {
                int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
                if (fd < 0) continue;
                setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
                c = malloc(sizeof *c);
                c->fd = fd, c->kept = 0;
                event.data.ptr = c;
                epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
                continue;
            }
            ssize_t got = recv(c->fd, input, sizeof input, 0);
            if (got <= 0) { close(c->fd); free(c); continue; }
            char *last = memrchr(input, '\n', got);
            size_t whole = last ? last - input + 1 : 0, rest = got - whole;
            if (whole && c->kept) send(c->fd, c->line, c->kept, MSG_NOSIGNAL), c->kept = 0;
            if (whole) send(c->fd, input, whole, MSG_NOSIGNAL);
            if (c->kept + rest > sizeof c->line) { close(c->fd); free(c); continue; }
            memcpy(c->line + c->kept, input + whole, rest);
            c->kept += rest;
        }
    }
}
