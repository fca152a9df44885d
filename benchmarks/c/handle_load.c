// Load on a Handle server, or on an echo server that is sent the same, on loopback.
//
// usage: handle_load udp|tcp PORT REQUEST ANSWER COUNT SEED SECONDS WINDOW
//
// REQUEST and ANSWER are files: a request for identifier number 00000000 with request id 0, and
// the answer to it. Each request sent is that one with an id of its own and the number of an
// identifier drawn from 0 to COUNT - 1, wherever 00000000 stands in it; its answer must be the
// answer with the same two put in, byte for byte but for the expiration. With SEED 0 nothing is
// drawn: every identifier is asked for once, in turn, and SECONDS is only the most it may take.
//
// WINDOW requests are under way at once: from one socket over UDP, which takes and sends up to 64
// with one system call; over TCP one on each of WINDOW connections. A UDP answer that has not come
// within LOST_SECONDS is lost, and another request is sent in its place. While nothing has come
// the program looks again at once instead of sleeping, so that no server pays for waking it up, as
// none does for clients that are other machines.
//
// The output is one line of JSON: answers (right ones), wrong, lost, microseconds, bytes of
// answers, and p50 and p99 of the microseconds to an answer.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    MOST = 64,           // datagrams a system call
    SIZE = 4096,         // bytes of the longest message
    MOST_PLACES = 8,     // where the number stands in one message
    MOST_WINDOW = 1024,
    DIGITS = 8,
    ID_AT = 8,
    EXPIRATION_AT = 36,
    BUFFER_BYTES = 4 << 20,
    SLOWEST = 1 << 20,   // microseconds that are told apart
};
static const double LOST_SECONDS = 0.5, SILENT_SECONDS = 10, LOOK_SECONDS = 0.1;

struct pattern {
    int length, places, at[MOST_PLACES];
    char data[SIZE];
};

struct slot {  // one request under way; an id ends in the number of its slot
    uint32_t id, number;
    double since;
    bool waits;
    int fd, got;        // TCP: the connection, and how much of the answer is here
    char answer[SIZE];  // TCP
};

static struct pattern request, answer;
static int under_way;
static struct slot slots[MOST_WINDOW];
static uint32_t window, count, next_in_turn, rounds, histogram[SLOWEST];
static uint64_t answers, wrong, lost, state;
static double started, until;
static struct sockaddr_in server = {.sin_family = AF_INET};

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static void read_pattern(const char *path, struct pattern *pattern) {
    FILE *file = fopen(path, "rb");
    if (!file)
        fail(path);
    pattern->length = fread(pattern->data, 1, SIZE, file);
    fclose(file);
    for (int i = 0; i + DIGITS <= pattern->length; i++)
        if (!memcmp(pattern->data + i, "00000000", DIGITS)) {
            if (pattern->places == MOST_PLACES) {
                fprintf(stderr, "%s: too many numbers\n", path);
                exit(2);
            }
            pattern->at[pattern->places++] = i;
            i += DIGITS - 1;
        }
}

static void fill(const struct pattern *pattern, uint32_t id, uint32_t number, char *out) {
    char digits[DIGITS];
    for (int i = DIGITS - 1; i >= 0; i--, number /= 10)
        digits[i] = '0' + number % 10;
    memcpy(out, pattern->data, pattern->length);
    id = htonl(id);
    memcpy(out + ID_AT, &id, sizeof id);
    for (int i = 0; i < pattern->places; i++)
        memcpy(out + pattern->at[i], digits, DIGITS);
}

static uint32_t draw(void) {  // splitmix64
    uint64_t z = state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return (z ^ z >> 31) % count;
}

// Begin another request in a slot. False if there is none left to be asked.
static bool begin(struct slot *slot, char *out, double at) {
    if (at >= until || (!state && next_in_turn == count))
        return false;
    slot->number = state ? draw() : next_in_turn++;
    slot->id = ++rounds * MOST_WINDOW + (slot - slots);
    slot->since = at;
    slot->got = 0;
    fill(&request, slot->id, slot->number, out);
    under_way++;
    return slot->waits = true;
}

static void end(struct slot *slot) {
    slot->waits = false;
    under_way--;
}

// Take what came as an answer. Returns the slot that it ends, NULL if nobody waits for it any more.
static struct slot *take(const char *data, int length, double at) {
    uint32_t id;
    char wanted[SIZE];
    memcpy(&id, data + ID_AT, sizeof id);
    struct slot *slot = &slots[ntohl(id) % MOST_WINDOW];
    if (length < EXPIRATION_AT + 4 || !slot->waits || slot->id != ntohl(id))
        return NULL;
    end(slot);
    fill(&answer, slot->id, slot->number, wanted);
    memcpy(wanted + EXPIRATION_AT, data + EXPIRATION_AT, 4);
    if (length != answer.length || memcmp(data, wanted, length))
        wrong++;
    else
        answers++;
    uint64_t took = (at - slot->since) * 1e6;
    histogram[took < SLOWEST ? took : SLOWEST - 1]++;
    return slot;
}

static bool is_overdue(const struct slot *slot, double at, double seconds) {
    return slot->waits && at - slot->since > seconds;
}

static struct iovec sent_parts[MOST], got_parts[MOST];
static struct mmsghdr sent_messages[MOST], got_messages[MOST];
static char sent_data[MOST][SIZE], got_data[MOST][SIZE];

static void send_batch(int fd, int size) {
    for (int sent = 0; sent < size;) {
        int more = sendmmsg(fd, sent_messages + sent, size - sent, 0);
        if (more < 0)
            fail("sendmmsg");
        sent += more;
    }
}

static void look_for_lost(int fd, double at) {
    int size = 0;
    for (uint32_t i = 0; i < window && size < MOST; i++)  // if there are more: next time
        if (is_overdue(&slots[i], at, LOST_SECONDS)) {
            lost++;
            end(&slots[i]);
            size += begin(&slots[i], sent_data[size], at);
        }
    send_batch(fd, size);
}

static void load_udp(void) {
    int fd = socket(AF_INET, SOCK_DGRAM, 0), bytes = BUFFER_BYTES;
    if (fd < 0 || connect(fd, (struct sockaddr *)&server, sizeof server))
        fail("connect");
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    for (int i = 0; i < MOST; i++) {
        sent_parts[i] = (struct iovec){sent_data[i], request.length};
        got_parts[i] = (struct iovec){got_data[i], SIZE};
        sent_messages[i].msg_hdr = (struct msghdr){.msg_iov = &sent_parts[i], .msg_iovlen = 1};
        got_messages[i].msg_hdr = (struct msghdr){.msg_iov = &got_parts[i], .msg_iovlen = 1};
    }
    for (uint32_t i = 0; i < window; i++)
        if (begin(&slots[i], sent_data[0], started))
            send_batch(fd, 1);
    double looked = started;
    while (under_way) {
        int size = 0, got = recvmmsg(fd, got_messages, MOST, MSG_DONTWAIT, NULL);
        if (got < 0 && errno != EAGAIN)
            fail("recvmmsg");
        if (got < 0)
            sched_yield();
        double at = now();
        for (int i = 0; i < got; i++) {
            struct slot *slot = take(got_data[i], got_messages[i].msg_len, at);
            if (slot && begin(slot, sent_data[size], at))
                size++;
        }
        send_batch(fd, size);
        if (at - looked > LOOK_SECONDS) {
            looked = at;
            look_for_lost(fd, at);
        }
    }
}

static void ask(struct slot *slot, double at) {
    char out[SIZE];
    if (begin(slot, out, at) && write(slot->fd, out, request.length) != request.length)
        fail("write");
}

static void load_tcp(void) {
    int epoll = epoll_create1(0), one = 1;
    struct epoll_event events[MOST];
    for (uint32_t i = 0; i < window; i++) {
        int fd = slots[i].fd = socket(AF_INET, SOCK_STREAM, 0);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &slots[i]};
        if (fd < 0 || connect(fd, (struct sockaddr *)&server, sizeof server) ||
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) ||
            epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event))
            fail("connect");
    }
    for (uint32_t i = 0; i < window; i++)
        ask(&slots[i], started);
    double looked = started;
    while (under_way) {
        int ready = epoll_wait(epoll, events, MOST, 0);
        double at = now();
        if (ready == 0)
            sched_yield();
        for (int i = 0; i < ready; i++) {
            struct slot *slot = events[i].data.ptr;
            int room = SIZE - slot->got;
            int got = read(slot->fd, slot->answer + slot->got, room);
            if (got <= 0)
                fail("the server has closed a connection");
            slot->got += got;
            if (slot->got >= answer.length && take(slot->answer, slot->got, at) == slot)
                ask(slot, at);
        }
        if (at - looked > LOOK_SECONDS) {
            looked = at;
            for (uint32_t i = 0; i < window; i++)
                if (is_overdue(&slots[i], at, SILENT_SECONDS)) {
                    fprintf(stderr, "the server does not answer\n");
                    exit(1);
                }
        }
    }
}

static uint32_t percentile(double share) {
    uint64_t all = 0, below = 0;
    for (int i = 0; i < SLOWEST; i++)
        all += histogram[i];
    for (int i = 0; i < SLOWEST; i++)
        if ((below += histogram[i]) >= share * all)
            return i;
    return SLOWEST;
}

int main(int argc, char **argv) {
    if (argc != 9) {
        fprintf(stderr, "usage: handle_load udp|tcp PORT REQUEST ANSWER COUNT SEED SECONDS WINDOW\n");
        return 2;
    }
    server.sin_port = htons(atoi(argv[2]));
    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    read_pattern(argv[3], &request);
    read_pattern(argv[4], &answer);
    count = atoi(argv[5]);
    state = strtoull(argv[6], NULL, 10) * 1000003;
    window = atoi(argv[8]);
    if (!count || !window || window > MOST_WINDOW || request.length < EXPIRATION_AT + 4)
        return 2;
    started = now();
    until = started + atof(argv[7]);
    if (!strcmp(argv[1], "udp"))
        load_udp();
    else
        load_tcp();
    double seconds = now() - started;
    printf("{\"answers\": %lu, \"wrong\": %lu, \"lost\": %lu, \"microseconds\": %.0f, "
           "\"bytes\": %lu, \"p50\": %u, \"p99\": %u}\n",
           answers, wrong, lost, seconds * 1e6, answers * answer.length, percentile(0.5),
           percentile(0.99));
}
