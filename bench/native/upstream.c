/* The bench's upstream: as much of the Realtime protocol as a relay needs, on a loop that costs next to nothing.
   Every appended frame comes back as a `response.output_audio.delta` with the same bytes, inside answers of
   --answer-frames frames that begin and end as real ones do (created, item, transcript, done, usage).
   upstream PORT [--answer-frames N] [--burst-seconds S]
   --burst-seconds: each `response.create` is answered by so much speech at once, in deltas of 200 ms. */
#include "websocket.h"

typedef struct {
    int fd, open, armed, closing;
    Bytes in, out;
    unsigned events, answer, frames;
} Connection;

static int loop, answer_frames = 250, burst_seconds;

static void say(Connection *c, const char *type, const char *rest) {
    char text[2048];
    int n = snprintf(text, sizeof text, "{\"type\":\"%s\",\"event_id\":\"event_%016u\"%s}", type, c->events++, rest);
    put_frame(&c->out, TEXT, text, (size_t)n, 0);
}

static void begin_answer(Connection *c) {
    char rest[512];
    c->answer++;
    snprintf(rest, sizeof rest, ",\"response\":{\"object\":\"realtime.response\",\"id\":\"resp_%012u\",\"status\":\"in_progress\",\"output\":[]}", c->answer);
    say(c, "response.created", rest);
    snprintf(rest, sizeof rest,
             ",\"response_id\":\"resp_%012u\",\"output_index\":0,\"item\":{\"id\":\"item_%012u\",\"object\":\"realtime.item\","
             "\"type\":\"message\",\"status\":\"in_progress\",\"role\":\"assistant\",\"content\":[]}",
             c->answer, c->answer);
    say(c, "response.output_item.added", rest);
    snprintf(rest, sizeof rest,
             ",\"response_id\":\"resp_%012u\",\"item_id\":\"item_%012u\",\"output_index\":0,\"content_index\":0,\"delta\":\"An echo.\"",
             c->answer, c->answer);
    say(c, "response.output_audio_transcript.delta", rest);
}

static void end_answer(Connection *c) {
    char rest[1024], ids[160];
    snprintf(ids, sizeof ids, ",\"response_id\":\"resp_%012u\",\"item_id\":\"item_%012u\",\"output_index\":0,\"content_index\":0", c->answer, c->answer);
    say(c, "response.output_audio.done", ids);
    snprintf(rest, sizeof rest, "%s,\"transcript\":\"An echo.\"", ids);
    say(c, "response.output_audio_transcript.done", rest);
    snprintf(rest, sizeof rest,
             ",\"response_id\":\"resp_%012u\",\"output_index\":0,\"item\":{\"id\":\"item_%012u\",\"type\":\"message\",\"status\":\"completed\","
             "\"role\":\"assistant\",\"content\":[{\"type\":\"output_audio\",\"transcript\":\"An echo.\"}]}",
             c->answer, c->answer);
    say(c, "response.output_item.done", rest);
    snprintf(rest, sizeof rest,
             ",\"response\":{\"id\":\"resp_%012u\",\"status\":\"completed\",\"usage\":{\"total_tokens\":60,\"input_tokens\":20,\"output_tokens\":40,"
             "\"input_token_details\":{\"text_tokens\":5,\"audio_tokens\":15,\"cached_tokens\":0},"
             "\"output_token_details\":{\"text_tokens\":10,\"audio_tokens\":30}}}",
             c->answer);
    say(c, "response.done", rest);
}

static void delta(Connection *c, const uint8_t *base64, size_t count) {
    char head[320];
    int n = snprintf(head, sizeof head,
                     "{\"type\":\"response.output_audio.delta\",\"event_id\":\"event_%016u\",\"response_id\":\"resp_%012u\","
                     "\"item_id\":\"item_%012u\",\"output_index\":0,\"content_index\":0,\"delta\":\"",
                     c->events++, c->answer, c->answer);
    uint8_t *at = begin_frame(&c->out, TEXT, (size_t)n + count + 2, 0, NULL, 0);
    memcpy(at, head, (size_t)n);
    memcpy(at + n, base64, count);
    memcpy(at + n + count, "\"}", 2);
}

static void burst(Connection *c) {
    enum { RAW = 9600 };
    static uint8_t raw[RAW], text[RAW * 2];
    size_t n = base64_of(raw, RAW, text);
    begin_answer(c);
    for (int i = 0; i < burst_seconds * 5; i++) delta(c, text, n);
    end_answer(c);
}

static int starts(const Frame *f, const char *type) {
    /* Relays put `type` first or not: look at both ends, not at the audio between. */
    size_t head = f->count < 200 ? f->count : 200, tail = f->count > 400 ? 200 : 0;
    return memmem(f->data, head, type, strlen(type)) || (tail && memmem(f->data + f->count - tail, tail, type, strlen(type)));
}

static void on_message(Connection *c, const Frame *f) {
    if (starts(f, "input_audio_buffer.append")) {
        uint8_t *audio = memmem(f->data, f->count, "\"audio\"", 7);
        if (!audio) return;
        uint8_t *first = memchr(audio + 7, '"', (size_t)(f->data + f->count - audio - 7));
        uint8_t *last = first ? memchr(first + 1, '"', (size_t)(f->data + f->count - first - 1)) : NULL;
        if (!last) return;
        if (c->frames++ % (unsigned)answer_frames == 0) begin_answer(c);
        delta(c, first + 1, (size_t)(last - first - 1));
        if (c->frames % (unsigned)answer_frames == 0) end_answer(c);
    } else if (starts(f, "session.update")) {
        say(c, "session.updated", ",\"session\":{\"type\":\"realtime\",\"object\":\"realtime.session\",\"id\":\"sess_bench\"}");
    } else if (burst_seconds && starts(f, "response.create")) {
        burst(c);
    }
}

static int serve(Connection *c) {
    if (read_in(c->fd, &c->in)) return -1;
    if (!c->open) {
        *room(&c->in, 1) = 0;
        char *head = (char *)c->in.data + c->in.start, *end = strstr(head, "\r\n\r\n");
        if (!end) return 0;
        end[2] = 0;
        if (answer_handshake(head, &c->out)) return -1;
        c->in.start += (size_t)(end + 4 - head);
        c->open = 1;
        say(c, "session.created", ",\"session\":{\"type\":\"realtime\",\"object\":\"realtime.session\",\"id\":\"sess_bench\"}");
    }
    Frame f;
    for (size_t took; (took = take_frame(c->in.data + c->in.start, waiting(&c->in), &f)); c->in.start += took) {
        if (f.opcode == TEXT || f.opcode == BINARY) on_message(c, &f);
        else if (f.opcode == PING) put_frame(&c->out, PONG, f.data, f.count, 0);
        else if (f.opcode == CLOSE) {
            put_frame(&c->out, CLOSE, f.data, f.count < 2 ? 0 : 2, 0);
            send_out(c->fd, &c->out);
            return -1;
        }
    }
    return 0;
}

int main(int count, char **words) {
    if (count < 2) return 2;
    for (int i = 2; i + 1 < count; i += 2) {
        if (!strcmp(words[i], "--answer-frames")) answer_frames = atoi(words[i + 1]);
        else if (!strcmp(words[i], "--burst-seconds")) burst_seconds = atoi(words[i + 1]);
        else return 2;
    }
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
            Connection *c = events[i].data.ptr;
            if (!c) {
                for (int fd; (fd = accept(listening, NULL, NULL)) >= 0;) {
                    make_ready(fd);
                    c = calloc(1, sizeof *c);
                    c->fd = fd;
                    event = (struct epoll_event){.events = EPOLLIN, .data.ptr = c};
                    epoll_ctl(loop, EPOLL_CTL_ADD, fd, &event);
                }
                continue;
            }
            int gone = (events[i].events & ~(unsigned)EPOLLOUT) ? serve(c) : 0;
            if (!gone) gone = send_out(c->fd, &c->out);
            if (gone) {
                close(c->fd);
                free(c->in.data);
                free(c->out.data);
                free(c);
            } else if (c->armed != (waiting(&c->out) > 0)) {
                c->armed = !c->armed;
                event = (struct epoll_event){.events = EPOLLIN | (c->armed ? EPOLLOUT : 0), .data.ptr = c};
                epoll_ctl(loop, EPOLL_CTL_MOD, c->fd, &event);
            }
        }
    }
}
