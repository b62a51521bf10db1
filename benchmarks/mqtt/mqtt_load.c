/* The load on an MQTT broker, one process on one core, MQTT 3.1.1.
 * Usage: mqtt_load MODE PORT CLIENTS SECONDS [QOS [TOKENS]]. Prints the number of messages.
 *
 *   fanin     CLIENTS publish, one other client has subscribed; counted is what arrives there
 *   publish   CLIENTS publish to a topic that nobody reads, each waits for its PUBACK (QoS 1)
 *   fanout    one client publishes, CLIENTS have subscribed; counted is what arrives at all of them
 *   retained  100 retained messages; CLIENTS subscribe to them again and again; counted is what arrives
 *   readings  CLIENTS with the tokens of a file, "ID TOKEN" a line, publish devices/ID/temp at QoS 1
 *
 * No mode floods: what is under way is bounded, and a message is sent when another has arrived. */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { UNDER_WAY = 256, RETAINED = 100, BUFFER = 1 << 16 };

struct client {
    int fd, kept, acked;
    unsigned char topic[128];
    int topic_size;
    unsigned char *held;
};

static int poller, qos;
static struct client *clients;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static void put(int fd, const unsigned char *data, int size) {
    while (size) {
        ssize_t sent = send(fd, data, size, MSG_NOSIGNAL);
        if (sent <= 0) fail("send");
        data += sent;
        size -= sent;
    }
}

static void expect(int fd, int type, int size) {
    unsigned char packet[8];
    for (int got = 0; got < size;) {
        ssize_t more = recv(fd, packet + got, size - got, 0);
        if (more <= 0) fail("recv");
        got += more;
    }
    if (packet[0] != type) {
        fprintf(stderr, "packet 0x%02x instead of 0x%02x\n", packet[0], type);
        exit(1);
    }
}

static int text(unsigned char *to, const char *value) {
    int size = strlen(value);
    to[0] = size >> 8;
    to[1] = size & 255;
    memcpy(to + 2, value, size);
    return size + 2;
}

static void open_client(struct client *client, int port, int number, const char *user) {
    static int source;
    unsigned char packet[256] = {0x10};
    char name[32];
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + source++ % 8)};
    int one = 1;
    client->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (client->fd < 0) fail("socket");
    bind(client->fd, (struct sockaddr *)&from, sizeof from);
    if (connect(client->fd, (struct sockaddr *)&at, sizeof at)) fail("connect");
    setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    int size = 2;
    size += text(packet + size, "MQTT");
    packet[size++] = 4;
    packet[size++] = user ? 0x82 : 0x02;
    packet[size++] = 0;
    packet[size++] = 0;
    snprintf(name, sizeof name, "load-%d", number);
    size += text(packet + size, name);
    if (user) size += text(packet + size, user);
    packet[1] = size - 2;
    put(client->fd, packet, size);
    expect(client->fd, 0x20, 4);
    client->held = malloc(BUFFER);
    client->kept = 0;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};
    epoll_ctl(poller, EPOLL_CTL_ADD, client->fd, &event);
}

static void subscribe(struct client *client, const char *filter, int wait) {
    unsigned char packet[128] = {0x82, 0, 0, 1};
    int size = 4 + text(packet + 4, filter);
    packet[size++] = qos;
    packet[1] = size - 2;
    put(client->fd, packet, size);
    if (wait) expect(client->fd, 0x90, 5);
}

static void publish(struct client *client, int flags) {
    unsigned char packet[160] = {0x30 | flags | qos << 1};
    int size = 2;
    memcpy(packet + size, client->topic, client->topic_size);
    size += client->topic_size;
    if (qos) {
        packet[size++] = 0;
        packet[size++] = 1;
    }
    memcpy(packet + size, "21.5", 4);
    size += 4;
    packet[1] = size - 2;
    put(client->fd, packet, size);
}

/* Reads what has come; `arrived` counts PUBLISH, the result PUBACK and SUBACK. Messages of QoS 1 are acknowledged. */
static int take(struct client *client, long *arrived) {
    unsigned char *data = client->held;
    int answers = 0, at = 0;
    ssize_t got = recv(client->fd, data + client->kept, BUFFER - client->kept, 0);
    if (got <= 0) fail("recv");
    int end = client->kept + got;
    static unsigned char acks[BUFFER];
    int acked = 0;
    while (end - at >= 2) {
        int size = data[at + 1], head = 2;
        if (size > 127) {
            if (end - at < 3) break;
            size = (size & 127) | data[at + 2] << 7;
            head = 3;
        }
        if (end - at < head + size) break;
        if (data[at] >> 4 == 3) {
            ++*arrived;
            if (data[at] & 6) {
                int id = at + head + 2 + (data[at + head] << 8 | data[at + head + 1]);
                unsigned char ack[4] = {0x40, 2, data[id], data[id + 1]};
                memcpy(acks + acked, ack, 4);
                acked += 4;
            }
        } else {
            answers++;
        }
        at += head + size;
    }
    client->kept = end - at;
    memmove(data, data + at, client->kept);
    if (acked) put(client->fd, acks, acked);
    return answers;
}

int main(int argc, char **argv) {
    if (argc < 5) return 2;
    const char *mode = argv[1];
    int port = atoi(argv[2]), count = atoi(argv[3]), reader = -1;
    qos = argc > 5 ? atoi(argv[5]) : 0;
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    poller = epoll_create1(0);
    clients = calloc(count + 1, sizeof *clients);
    FILE *tokens = argc > 6 ? fopen(argv[6], "r") : NULL;
    int readings = !strcmp(mode, "readings"), fanin = !strcmp(mode, "fanin"), fanout = !strcmp(mode, "fanout");
    int retained = !strcmp(mode, "retained");
    for (int i = 0; i < count; i++) {
        char topic[128], id[64], token[80];
        if (readings && (!tokens || fscanf(tokens, "%63s %79s", id, token) != 2)) return 2;
        snprintf(topic, sizeof topic, readings ? "devices/%s/temp" : "load/%s", readings ? id : "topic");
        open_client(&clients[i], port, i, readings ? token : NULL);
        clients[i].topic_size = text(clients[i].topic, topic);
        if (fanout) subscribe(&clients[i], "load/topic", 1);
    }
    if (fanin || fanout || retained) {
        reader = count;
        open_client(&clients[reader], port, reader, NULL);
        clients[reader].topic_size = text(clients[reader].topic, "load/topic");
        if (fanin) subscribe(&clients[reader], "load/#", 1);
    }
    if (retained) {
        int before = qos;
        qos = 0;
        for (int i = 0; i < RETAINED; i++) {
            char topic[32];
            snprintf(topic, sizeof topic, "kept/%d", i);
            clients[reader].topic_size = text(clients[reader].topic, topic);
            publish(&clients[reader], 1);
        }
        qos = before;
        usleep(200000);
        for (int i = 0; i < count; i++) subscribe(&clients[i], "kept/+", 0);
    } else if (fanout) {
        for (int i = 0; i < 4; i++) publish(&clients[reader], 0);
    } else {
        int under_way = fanin && count > UNDER_WAY ? UNDER_WAY : count;
        for (int i = 0; i < under_way; i++) publish(&clients[i], 0);
    }
    struct epoll_event ready[256];
    long counted = 0, due = 0, sent = 0;
    double end = now() + atof(argv[4]);
    while (now() < end) {
        int events = epoll_wait(poller, ready, 256, 1000);
        if (!events) {
            fprintf(stderr, "nothing came for a second\n");
            return 1;
        }
        for (int i = 0; i < events; i++) {
            struct client *client = ready[i].data.ptr;
            long arrived = 0;
            int answers = take(client, &arrived);
            if (fanin) {
                counted += arrived;
                for (; arrived; arrived--) publish(&clients[sent++ % count], 0);
            } else if (fanout) {
                counted += arrived;
                due += arrived;
                for (; due >= count; due -= count) publish(&clients[reader], 0);
            } else if (retained) {
                counted += arrived;
                client->acked += arrived;
                for (; client->acked >= RETAINED; client->acked -= RETAINED) subscribe(client, "kept/+", 0);
            } else {
                counted += answers;
                for (; answers; answers--) publish(client, 0);
            }
        }
    }
    printf("%ld\n", counted);
    return 0;
}
