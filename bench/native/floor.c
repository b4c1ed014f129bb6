/* The floor of the bench: the least that a relay of this kind can cost. One thread, one epoll loop; binary frames on
   the browser's side, base64 in JSON on the upstream's. No sessions, no limits, no errors: a measure, not a product.
   floor PORT UPSTREAM_PORT */
#include "websocket.h"

typedef struct Leg {
    int fd, open, armed, is_upstream;
    Bytes in, out;
    struct Leg *other;
} Leg;

static int loop;
static const char APPEND[] = "{\"type\":\"input_audio_buffer.append\",\"audio\":\"";

static Leg *leg(int fd, int is_upstream) {
    Leg *l = calloc(1, sizeof *l);
    l->fd = fd;
    l->is_upstream = is_upstream;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = l};
    epoll_ctl(loop, EPOLL_CTL_ADD, fd, &event);
    return l;
}

static void up(Leg *from, const Frame *f) {
    size_t head = sizeof APPEND - 1, text = (f->count + 2) / 3 * 4;
    uint8_t mask[4], *at = begin_frame(&from->other->out, TEXT, head + text + 2, 1, mask, 0);
    memcpy(at, APPEND, head);
    base64_of(f->data, f->count, at + head);
    memcpy(at + head + text, "\"}", 2);
    apply_mask(at, head + text + 2, mask);
}

static void down(Leg *from, const Frame *f) {
    static uint8_t pcm[1 << 20];
    if (!memmem(f->data, f->count < 120 ? f->count : 120, "response.output_audio.delta", 27)) return;
    uint8_t *text = memmem(f->data, f->count, "\"delta\":\"", 9);
    if (!text) return;
    text += 9;
    uint8_t *end = memchr(text, '"', (size_t)(f->data + f->count - text));
    if (end) put_frame(&from->other->out, BINARY, pcm, bytes_of(text, (size_t)(end - text), pcm), 0);
}

static int serve(Leg *l) {
    if (read_in(l->fd, &l->in)) return -1;
    if (!l->open) {
        *room(&l->in, 1) = 0;
        char *head = (char *)l->in.data + l->in.start, *end = strstr(head, "\r\n\r\n");
        if (!end) return 0;
        end[2] = 0;
        if (!l->is_upstream && answer_handshake(head, &l->out)) return -1;
        l->in.start += (size_t)(end + 4 - head);
        l->open = 1;
    }
    Frame f;
    for (size_t took; (took = take_frame(l->in.data + l->in.start, waiting(&l->in), &f)); l->in.start += took) {
        if (f.opcode == CLOSE) return -1;
        if (f.opcode == BINARY && !l->is_upstream) up(l, &f);
        else if (f.opcode == TEXT && l->is_upstream) down(l, &f);
    }
    return 0;
}

static void flush_leg(Leg *l) {
    send_out(l->fd, &l->out);
    if (l->armed != (waiting(&l->out) > 0)) {
        l->armed = !l->armed;
        struct epoll_event event = {.events = EPOLLIN | (l->armed ? EPOLLOUT : 0), .data.ptr = l};
        epoll_ctl(loop, EPOLL_CTL_MOD, l->fd, &event);
    }
}

int main(int count, char **words) {
    if (count < 3) return 2;
    signal(SIGPIPE, SIG_IGN);
    many_files();
    base64_tables();
    int listening = listen_at(atoi(words[1]));
    loop = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL}, events[512];
    epoll_ctl(loop, EPOLL_CTL_ADD, listening, &event);
    for (;;) {
        int n = epoll_wait(loop, events, 512, -1);
        for (int i = 0; i < n; i++) {
            Leg *l = events[i].data.ptr;
            if (!l) {
                for (int fd; (fd = accept(listening, NULL, NULL)) >= 0;) {
                    make_ready(fd);
                    Leg *browser = leg(fd, 0), *upstream = leg(dial(atoi(words[2])), 1);
                    browser->other = upstream;
                    upstream->other = browser;
                    static const char hello[] =
                        "GET /v1/realtime?model=bench HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n";
                    add(&upstream->out, hello, sizeof hello - 1);
                    flush_leg(upstream);
                }
                continue;
            }
            if (l->fd < 0) continue; /* went with its other leg in this round; never freed: the process is short-lived */
            if ((events[i].events & ~(unsigned)EPOLLOUT) && serve(l)) {
                close(l->fd);
                close(l->other->fd);
                l->fd = l->other->fd = -1;
                continue;
            }
            flush_leg(l);
            if (l->other->open) flush_leg(l->other);
        }
    }
}
