/* What the three C programs of the bench share: growing buffers, base64, SHA-1, WebSocket frames and handshakes.
   Blocking is never needed: sockets are non-blocking and each program has one epoll loop. Loopback and test data only. */
#ifndef BENCH_WEBSOCKET_H
#define BENCH_WEBSOCKET_H
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10 };

/* ---- a queue of bytes: written at `end`, read at `start` ---- */
typedef struct {
    uint8_t *data;
    size_t start, end, size;
} Bytes;

static inline uint8_t *room(Bytes *b, size_t wanted) {
    if (b->start && (b->start == b->end || b->size - b->end < wanted)) {
        memmove(b->data, b->data + b->start, b->end - b->start);
        b->end -= b->start;
        b->start = 0;
    }
    if (b->size - b->end < wanted) {
        b->size = (b->end + wanted) * 2;
        b->data = realloc(b->data, b->size);
        if (!b->data) abort();
    }
    return b->data + b->end;
}

static inline void add(Bytes *b, const void *data, size_t count) {
    memcpy(room(b, count), data, count);
    b->end += count;
}

static inline size_t waiting(const Bytes *b) { return b->end - b->start; }

/* ---- base64 ---- */
static const char ALPHABET[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static uint16_t PAIRS[4096]; /* 12 bits to two letters */
static int8_t VALUES[256];

static void base64_tables(void) {
    for (int n = 0; n < 4096; n++) {
        char pair[2] = {ALPHABET[n >> 6], ALPHABET[n & 63]};
        memcpy(&PAIRS[n], pair, 2);
    }
    memset(VALUES, 0, sizeof VALUES);
    for (int n = 0; n < 64; n++) VALUES[(uint8_t)ALPHABET[n]] = (int8_t)n;
}

static inline size_t base64_of(const uint8_t *from, size_t count, uint8_t *to) {
    uint8_t *out = to;
    size_t i = 0;
    for (; i + 3 <= count; i += 3, out += 4) {
        uint32_t three = (uint32_t)from[i] << 16 | (uint32_t)from[i + 1] << 8 | from[i + 2];
        memcpy(out, &PAIRS[three >> 12], 2);
        memcpy(out + 2, &PAIRS[three & 4095], 2);
    }
    if (i < count) {
        uint32_t rest = (uint32_t)from[i] << 16 | (i + 1 < count ? (uint32_t)from[i + 1] << 8 : 0);
        memcpy(out, &PAIRS[rest >> 12], 2);
        memcpy(out + 2, &PAIRS[rest & 4095], 2);
        if (i + 1 == count) out[2] = '=';
        out[3] = '=';
        out += 4;
    }
    return (size_t)(out - to);
}

static inline size_t bytes_of(const uint8_t *from, size_t count, uint8_t *to) {
    uint8_t *out = to;
    for (size_t i = 0; i + 4 <= count; i += 4) {
        uint32_t three = (uint32_t)VALUES[from[i]] << 18 | (uint32_t)VALUES[from[i + 1]] << 12 |
                         (uint32_t)VALUES[from[i + 2]] << 6 | (uint32_t)VALUES[from[i + 3]];
        *out++ = (uint8_t)(three >> 16);
        if (from[i + 2] != '=') *out++ = (uint8_t)(three >> 8);
        if (from[i + 3] != '=') *out++ = (uint8_t)three;
    }
    return (size_t)(out - to);
}

/* ---- SHA-1 of a short text (RFC 3174), for the answer to a handshake ---- */
static inline void sha1_short(const char *text, uint8_t digest[20]) {
    uint8_t block[128] = {0};
    size_t length = strlen(text), blocks = length + 9 > 64 ? 2 : 1;
    memcpy(block, text, length);
    block[length] = 0x80;
    for (int i = 0; i < 4; i++) block[blocks * 64 - 1 - i] = (uint8_t)(length * 8 >> 8 * i);
    uint32_t h[5] = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0};
    for (size_t at = 0; at < blocks * 64; at += 64) {
        uint32_t w[80], a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];
#define ROTATED(x, n) ((x) << (n) | (x) >> (32 - (n)))
        for (int t = 0; t < 16; t++) {
            const uint8_t *p = block + at + 4 * t;
            w[t] = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
        }
        for (int t = 16; t < 80; t++) w[t] = ROTATED(w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16], 1);
        for (int t = 0; t < 80; t++) {
            uint32_t f = t < 20 ? ((b & c) | (~b & d)) : t < 40 ? (b ^ c ^ d) : t < 60 ? ((b & c) | (b & d) | (c & d)) : (b ^ c ^ d);
            static const uint32_t k[4] = {0x5A827999, 0x6ED9EBA1, 0x8F1BBCDC, 0xCA62C1D6};
            uint32_t next = ROTATED(a, 5) + f + e + k[t / 20] + w[t];
            e = d, d = c, c = ROTATED(b, 30), b = a, a = next;
        }
        h[0] += a, h[1] += b, h[2] += c, h[3] += d, h[4] += e;
    }
    for (int i = 0; i < 20; i++) digest[i] = (uint8_t)(h[i / 4] >> (24 - 8 * (i % 4)));
}

/* ---- HTTP headers of a handshake ---- */
static const char *header(const char *head, const char *name, size_t *length) {
    for (const char *line = strstr(head, "\r\n"); line; line = strstr(line + 2, "\r\n")) {
        size_t n = strlen(name);
        if (!strncasecmp(line + 2, name, n) && line[2 + n] == ':') {
            const char *value = line + 3 + n;
            while (*value == ' ') value++;
            *length = strcspn(value, "\r");
            return value;
        }
    }
    return NULL;
}

/* Answer a handshake that is complete; the subprotocol answered is the first that was offered. */
static inline int answer_handshake(const char *head, Bytes *out) {
    size_t length = 0;
    const char *key = header(head, "Sec-WebSocket-Key", &length);
    if (!key || length > 64) return -1;
    char text[128];
    snprintf(text, sizeof text, "%.*s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", (int)length, key);
    uint8_t digest[20], accept[32] = {0};
    sha1_short(text, digest);
    base64_of(digest, 20, accept);
    char answer[512];
    int n = snprintf(answer, sizeof answer,
                     "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     "Sec-WebSocket-Accept: %s\r\n", accept);
    const char *offered = header(head, "Sec-WebSocket-Protocol", &length);
    if (offered)
        n += snprintf(answer + n, sizeof answer - n, "Sec-WebSocket-Protocol: %.*s\r\n", (int)strcspn(offered, ",\r"), offered);
    n += snprintf(answer + n, sizeof answer - n, "\r\n");
    add(out, answer, (size_t)n);
    return 0;
}

/* ---- frames ---- */
/* Write the head of a final frame; the payload of `count` bytes is to follow (unmasked when `masked` is 0). */
static inline uint8_t *begin_frame(Bytes *out, int opcode, size_t count, int masked, uint8_t mask[4], int compressed) {
    uint8_t *at = room(out, count + 14), *from = at;
    *at++ = (uint8_t)(0x80 | (compressed ? 0x40 : 0) | opcode);
    uint8_t bit = masked ? 0x80 : 0;
    if (count < 126) *at++ = (uint8_t)(bit | count);
    else if (count < 65536) {
        *at++ = bit | 126;
        *at++ = (uint8_t)(count >> 8);
        *at++ = (uint8_t)count;
    } else {
        *at++ = bit | 127;
        for (int i = 7; i >= 0; i--) *at++ = (uint8_t)((uint64_t)count >> 8 * i);
    }
    if (masked) {
        uint32_t random = (uint32_t)rand();
        memcpy(mask, &random, 4);
        memcpy(at, mask, 4);
        at += 4;
    }
    out->end += (size_t)(at - from) + count;
    return at;
}

static inline void apply_mask(uint8_t *data, size_t count, const uint8_t mask[4]) {
    uint64_t wide;
    uint32_t narrow;
    memcpy(&narrow, mask, 4);
    wide = (uint64_t)narrow << 32 | narrow;
    size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        uint64_t word;
        memcpy(&word, data + i, 8);
        word ^= wide;
        memcpy(data + i, &word, 8);
    }
    for (; i < count; i++) data[i] ^= mask[i & 3];
}

static inline void put_frame(Bytes *out, int opcode, const void *data, size_t count, int masked) {
    uint8_t mask[4], *at = begin_frame(out, opcode, count, masked, mask, 0);
    memcpy(at, data, count);
    if (masked) apply_mask(at, count, mask);
}

typedef struct {
    int final, compressed, opcode;
    uint8_t *data;
    size_t count;
} Frame;

/* The next whole frame, unmasked in place; how many bytes it took, 0 when more must come first. */
static inline size_t take_frame(uint8_t *from, size_t have, Frame *frame) {
    if (have < 2) return 0;
    size_t head = 2, count = from[1] & 127;
    if (count == 126) {
        if (have < 4) return 0;
        count = (size_t)from[2] << 8 | from[3];
        head = 4;
    } else if (count == 127) {
        if (have < 10) return 0;
        count = 0;
        for (int i = 2; i < 10; i++) count = count << 8 | from[i];
        head = 10;
    }
    int masked = from[1] >> 7;
    if (masked) head += 4;
    if (have < head + count) return 0;
    frame->final = from[0] >> 7;
    frame->compressed = from[0] >> 6 & 1;
    frame->opcode = from[0] & 15;
    frame->data = from + head;
    frame->count = count;
    if (masked) apply_mask(frame->data, count, from + head - 4);
    return head + count;
}

/* ---- sockets ---- */
static int make_ready(int fd) {
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

static struct sockaddr_in loopback(int port) {
    return (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static inline int dial(int port) {
    struct sockaddr_in address = loopback(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (void *)&address, sizeof address)) {
        perror("connect");
        exit(1);
    }
    make_ready(fd);
    return fd;
}

static inline int listen_at(int port) {
    struct sockaddr_in address = loopback(port);
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (fd < 0 || bind(fd, (void *)&address, sizeof address) || listen(fd, 4096)) {
        perror("listen");
        exit(1);
    }
    return fd;
}

/* Send what waits. 0: all gone or the socket is full; -1: the peer is gone. */
static inline int send_out(int fd, Bytes *out) {
    while (waiting(out)) {
        ssize_t sent = send(fd, out->data + out->start, waiting(out), MSG_NOSIGNAL);
        if (sent < 0) return errno == EAGAIN ? 0 : -1;
        out->start += (size_t)sent;
    }
    out->start = out->end = 0;
    return 0;
}

/* Read what is there. -1: the peer is gone. */
static inline int read_in(int fd, Bytes *in) {
    for (;;) {
        ssize_t got = recv(fd, room(in, 65536), 65536, 0);
        if (got == 0) return -1;
        if (got < 0) return errno == EAGAIN ? 0 : -1;
        in->end += (size_t)got;
        if (got < 65536) return 0;
    }
}

static void many_files(void) {
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

static inline double seconds_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}
#endif
