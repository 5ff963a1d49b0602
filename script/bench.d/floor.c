/* The least that a durable HTTP append can cost: one thread takes whole requests from all ready
   connections, writes their bodies to a file, calls fdatasync once and answers them all.
   No parsing, no validation, no log format.   floor FILE PORT */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LIMIT = 1 << 22, CONNECTIONS = 1024 };
static const char answer[] =
    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
static struct { char *bytes; size_t count; } connections[CONNECTIONS];

/* The length of the first whole request in the buffer, 0 if it is still on its way. */
static size_t whole(char *bytes, size_t count, char **body) {
    char *end = memmem(bytes, count, "\r\n\r\n", 4);
    if (!end) return 0;
    *end = 0;
    char *field = strcasestr(bytes, "content-length:");
    *end = '\r';
    *body = end + 4;
    size_t total = *body - bytes + (field ? strtoul(field + 15, NULL, 10) : 0);
    return total <= count ? total : 0;
}

/* Reads what has come; returns 1 if a request is complete and its body was written to the file. */
static int take(int socket, int file) {
    if (socket >= CONNECTIONS) exit(1);
    char **bytes = &connections[socket].bytes;
    size_t *count = &connections[socket].count;
    if (!*bytes) *bytes = malloc(LIMIT);
    ssize_t got = read(socket, *bytes + *count, LIMIT - *count);
    if (got <= 0) {
        *count = 0;
        close(socket);
        return 0;
    }
    *count += got;
    char *body;
    size_t total = whole(*bytes, *count, &body);
    if (!total) return 0;
    size_t length = *bytes + total - body;
    if (write(file, body, length) != (ssize_t)length) exit(1);
    memmove(*bytes, *bytes + total, *count -= total);
    return 1;
}

int main(int argc, char **argv) {
    if (argc != 3) return 2;
    int file = open(argv[1], O_WRONLY | O_CREAT | O_TRUNC, 0600), one = 1;
    int listener = socket(AF_INET, SOCK_STREAM, 0), poll = epoll_create1(0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[2])),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (file < 0 || bind(listener, (void *)&address, sizeof address) || listen(listener, 128)) {
        perror("floor");
        return 1;
    }
    struct epoll_event events[64], event = {.events = EPOLLIN, .data.fd = listener};
    epoll_ctl(poll, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int ready[64], readyCount = 0, count = epoll_wait(poll, events, 64, -1);
        for (int i = 0; i < count; i++) {
            int socket = events[i].data.fd;
            if (socket != listener) {
                if (take(socket, file)) ready[readyCount++] = socket;
                continue;
            }
            event.data.fd = accept(listener, NULL, NULL);
            setsockopt(event.data.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
            epoll_ctl(poll, EPOLL_CTL_ADD, event.data.fd, &event);
        }
        if (readyCount && fdatasync(file)) return 1;
        for (int i = 0; i < readyCount; i++) {
            if (write(ready[i], answer, sizeof answer - 1) < 0) perror("floor");
        }
    }
}
