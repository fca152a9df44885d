// UDP echo on loopback: what one core can do where nothing is computed.
//
// usage: udp_echo PORT BATCH
//
// BATCH datagrams at most are taken with one recvmmsg and sent back with one sendmmsg; 1 stands
// for plain recvfrom and sendto. It runs until it is told to end.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MOST = 64, SIZE = 2048, BUFFER_BYTES = 4 << 20 };

static char data[MOST][SIZE];
static struct sockaddr_in names[MOST];
static struct iovec parts[MOST];
static struct mmsghdr messages[MOST];

static int open_socket(int port) {
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int bytes = BUFFER_BYTES;
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes) ||
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes) ||
        bind(fd, (struct sockaddr *)&address, sizeof address)) {
        perror("udp_echo");
        exit(1);
    }
    return fd;
}

static void echo_single(int fd) {
    for (;;) {
        socklen_t length = sizeof names[0];
        ssize_t got = recvfrom(fd, data[0], SIZE, 0, (struct sockaddr *)&names[0], &length);
        if (got >= 0)
            sendto(fd, data[0], got, 0, (struct sockaddr *)&names[0], length);
    }
}

static void echo_batches(int fd, int batch) {
    for (int i = 0; i < batch; i++)
        messages[i].msg_hdr = (struct msghdr){
            .msg_name = &names[i], .msg_iov = &parts[i], .msg_iovlen = 1};
    for (;;) {
        for (int i = 0; i < batch; i++) {
            parts[i] = (struct iovec){data[i], SIZE};
            messages[i].msg_hdr.msg_namelen = sizeof names[i];
        }
        int got = recvmmsg(fd, messages, batch, MSG_WAITFORONE, NULL);
        for (int i = 0; i < got; i++)
            parts[i].iov_len = messages[i].msg_len;
        for (int sent = 0; sent < got;) {
            int now = sendmmsg(fd, messages + sent, got - sent, 0);
            if (now <= 0)
                break;  // an ICMP error of an earlier answer, as UDP has them
            sent += now;
        }
    }
}

int main(int argc, char **argv) {
    int batch = argc == 3 ? atoi(argv[2]) : 0;
    if (batch < 1 || batch > MOST) {
        fprintf(stderr, "usage: udp_echo PORT BATCH, a batch of 1 to %d\n", MOST);
        return 2;
    }
    int fd = open_socket(atoi(argv[1]));
    if (batch == 1)
        echo_single(fd);
    else
        echo_batches(fd, batch);
}
