/* The bench's load: sessions that send 40 ms frames and get the same bytes back, each frame stamped and compared.
   load PORT --dialect plain|page|json [--path P] [--sessions N] [--warm S] [--seconds S] [--window K]
             [--tokens FILE] [--bearer KEY] [--deflate 1] [--open-per-second R] [--idle 1]
   plain: binary frames both ways; page: the product's browser protocol, a token per line of FILE, with positions as a
   page reports them; json: the provider's own events as text both ways.
   --window K: no pace, each session has K frames under way. Without it: 25 frames a second and session.
   --idle: sessions are opened and nothing is said; "READY" is printed and the end of stdin waited for.
   Prints START and END around what is measured, for whoever reads the relay's CPU time, and a line of JSON. */
#include "websocket.h"
#include <math.h>
#ifdef WITH_ZLIB
#include <zlib.h>
#endif

enum { FRAME = 1920, RING = 8192, SPEECH = FRAME * 100, POSITION_SAMPLES = 2400, PING_EVERY_S = 5 };
enum { PLAIN, PAGE, JSON };

typedef struct {
    int fd, open, ready, armed, dead, deflated;
    unsigned sent, expected, measured_from, measured_to, settled;
    Bytes in, out, part;
    double sent_at[RING];
    char item[72];
    unsigned long item_samples, told_samples;
#ifdef WITH_ZLIB
    z_stream pack, unpack;
#endif
} Session;

static int loop, dialect, window, deflate_wanted, session_count = 20;
static Session *sessions;
static uint8_t speech[SPEECH + FRAME];
static double *latencies;
static size_t latency_count, latency_room;
static unsigned long lost, reordered, corrupt, pairs, unasked, positions;
static int measuring;
static const char APPEND[] = "{\"type\":\"input_audio_buffer.append\",\"audio\":\"";

/* Something like a voice: three harmonics under a slow envelope, and noise; compresses about as badly as speech. */
static void make_speech(void) {
    srand(7);
    for (int i = 0; i < (SPEECH + FRAME) / 2; i++) {
        double t = i / 24000.0, envelope = 0.55 + 0.45 * sin(6.28 * 3 * t);
        double v = envelope * (5000 * sin(6.28 * 140 * t) + 2500 * sin(6.28 * 420 * t) + 1200 * sin(6.28 * 1900 * t)) + rand() % 400 - 200;
        int16_t sample = (int16_t)v;
        memcpy(speech + 2 * i, &sample, 2);
    }
}

static void make_frame(uint8_t *to, unsigned session, unsigned number) {
    memcpy(to, speech + (number % 100) * FRAME, FRAME);
    to[0] = 0x5a, to[1] = 0xa5, to[2] = (uint8_t)session, to[3] = (uint8_t)(session >> 8);
    memcpy(to + 4, &number, 4);
}

static void put_message(Session *s, int opcode, uint8_t *data, size_t count) {
    uint8_t mask[4];
#ifdef WITH_ZLIB
    if (s->deflated) {
        static uint8_t packed[1 << 17];
        s->pack.next_in = data, s->pack.avail_in = (uInt)count;
        s->pack.next_out = packed, s->pack.avail_out = sizeof packed;
        deflate(&s->pack, Z_SYNC_FLUSH);
        count = sizeof packed - s->pack.avail_out - 4; /* without the empty block's tail, as the RFC wants it */
        uint8_t *at = begin_frame(&s->out, opcode, count, 1, mask, 1);
        memcpy(at, packed, count);
        apply_mask(at, count, mask);
        return;
    }
#endif
    uint8_t *at = begin_frame(&s->out, opcode, count, 1, mask, 0);
    memcpy(at, data, count);
    apply_mask(at, count, mask);
}

static void flush_session(Session *s) {
    if (send_out(s->fd, &s->out)) s->dead = 1;
    if (s->armed != (waiting(&s->out) > 0)) {
        s->armed = !s->armed;
        struct epoll_event event = {.events = EPOLLIN | (s->armed ? EPOLLOUT : 0), .data.ptr = s};
        epoll_ctl(loop, EPOLL_CTL_MOD, s->fd, &event);
    }
}

static void send_frame(Session *s) {
    static uint8_t text[FRAME * 2], pcm[FRAME];
    make_frame(pcm, (unsigned)(s - sessions), s->sent);
    if (dialect == JSON) {
        size_t n = sizeof APPEND - 1;
        memcpy(text, APPEND, n);
        n += base64_of(pcm, FRAME, text + n);
        memcpy(text + n, "\"}", 2);
        put_message(s, TEXT, text, n + 2);
    } else {
        put_message(s, BINARY, pcm, FRAME);
    }
    s->sent_at[s->sent++ % RING] = seconds_now();
    flush_session(s);
}

static void tell_position(Session *s) {
    char text[200];
    int n = snprintf(text, sizeof text, "{\"type\":\"playout.position\",\"item_id\":\"%s\",\"samples\":%lu,\"buffered_ms\":80}", s->item, s->item_samples);
    put_message(s, TEXT, (uint8_t *)text, (size_t)n);
    s->told_samples = s->item_samples;
    positions += measuring;
}

/* A page that is quiet is taken for dead. */
static void tell_all_is_well(void) {
    static double told;
    char ping[] = "{\"type\":\"ping\",\"t\":1}";
    if (dialect != PAGE || measuring || seconds_now() < told + PING_EVERY_S) return;
    told = seconds_now();
    for (int i = 0; i < session_count; i++) {
        Session *s = &sessions[i];
        if (!s->ready || s->dead) continue;
        put_message(s, TEXT, (uint8_t *)ping, sizeof ping - 1);
        flush_session(s);
    }
}

static void note_latency(double value) {
    if (latency_count == latency_room) {
        latency_room = latency_room ? latency_room * 2 : 1 << 16;
        latencies = realloc(latencies, latency_room * sizeof *latencies);
    }
    latencies[latency_count++] = value;
}

/* Audio came back: bytes of a stream, however a relay cuts it into messages. */
static void on_audio(Session *s, const uint8_t *data, size_t count) {
    static uint8_t wanted[FRAME];
    if (dialect == PAGE) {
        s->item_samples += count / 2;
        if (s->item_samples - s->told_samples >= POSITION_SAMPLES) tell_position(s);
    }
    add(&s->part, data, count);
    while (waiting(&s->part) >= FRAME) {
        const uint8_t *frame = s->part.data + s->part.start;
        unsigned number;
        memcpy(&number, frame + 4, 4);
        s->part.start += FRAME;
        if (number != s->expected) {
            if (number < s->expected || number >= s->sent) {
                reordered++;
                continue;
            }
            lost += number - s->expected;
        }
        make_frame(wanted, (unsigned)(s - sessions), number);
        if (memcmp(frame, wanted, FRAME)) corrupt++;
        s->expected = number + 1;
        if (measuring) {
            pairs++;
            note_latency(seconds_now() - s->sent_at[number % RING]);
        }
    }
}

static void on_text(Session *s, const char *text, size_t count) {
    if (dialect == JSON) {
        static uint8_t pcm[1 << 20];
        if (!memmem(text, count < 120 ? count : 120, "response.output_audio.delta", 27)) return;
        const char *from = memmem(text, count, "\"delta\"", 7);
        if (!from || !(from = memchr(from + 7, '"', (size_t)(text + count - from - 7)))) return;
        const char *end = memchr(from + 1, '"', (size_t)(text + count - from - 1));
        if (end) on_audio(s, pcm, bytes_of((const uint8_t *)from + 1, (size_t)(end - from - 1), pcm));
        return;
    }
    if (dialect != PAGE) return;
    unasked += measuring;
    if (!s->ready) s->ready = memmem(text, count, "\"ready\"", 7) != NULL;
    int begins = count > 20 && memmem(text, 30 < count ? 30 : count, "audio.begin", 11) != NULL;
    int ends = count > 20 && memmem(text, 30 < count ? 30 : count, "audio.end", 9) != NULL;
    if (ends && s->item_samples > s->told_samples) tell_position(s);
    if (!begins) return;
    const char *id = memmem(text, count, "item_", 5); /* the field's own name comes first */
    while (id && !strncmp(id, "item_id", 7)) id = memmem(id + 7, (size_t)(text + count - id - 7), "item_", 5);
    if (!id) return;
    size_t n = strcspn(id, "\"");
    if (n >= sizeof s->item) n = sizeof s->item - 1;
    memcpy(s->item, id, n);
    s->item[n] = 0;
    s->item_samples = s->told_samples = 0;
}

static void on_message(Session *s, Frame *f) {
    static Bytes whole;
    uint8_t *data = f->data;
    size_t count = f->count;
#ifdef WITH_ZLIB
    if (f->compressed) {
        static uint8_t plain[1 << 20];
        static const uint8_t tail[4] = {0, 0, 255, 255};
        whole.start = whole.end = 0;
        add(&whole, data, count);
        add(&whole, tail, 4);
        s->unpack.next_in = whole.data, s->unpack.avail_in = (uInt)whole.end;
        s->unpack.next_out = plain, s->unpack.avail_out = sizeof plain;
        inflate(&s->unpack, Z_SYNC_FLUSH);
        data = plain;
        count = sizeof plain - s->unpack.avail_out;
    }
#endif
    if (f->opcode == BINARY) on_audio(s, data, count);
    else on_text(s, (const char *)data, count);
}

static void read_session(Session *s) {
    if (read_in(s->fd, &s->in)) s->dead = 1;
    if (!s->open) {
        *room(&s->in, 1) = 0;
        char *head = (char *)s->in.data + s->in.start, *end = strstr(head, "\r\n\r\n");
        if (!end) return;
        if (strncmp(head, "HTTP/1.1 101", 12)) {
            fprintf(stderr, "refused: %.*s\n", (int)strcspn(head, "\r"), head);
            s->dead = 1;
            return;
        }
        end[2] = 0;
        size_t length;
        const char *extension = header(head, "Sec-WebSocket-Extensions", &length);
        s->deflated = extension && !strncmp(extension, "permessage-deflate", 18);
#ifdef WITH_ZLIB
        if (s->deflated) {
            deflateInit2(&s->pack, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY);
            inflateInit2(&s->unpack, -15);
        }
#endif
        s->in.start += (size_t)(end + 4 - head);
        s->open = 1;
        s->ready = dialect != PAGE;
        if (dialect == PAGE) {
            char hello[] = "{\"type\":\"hello\",\"uplink_samples\":0,\"client\":{\"page\":\"bench\"}}";
            put_message(s, TEXT, (uint8_t *)hello, sizeof hello - 1);
        }
    }
    Frame f;
    unsigned before = s->expected;
    for (size_t took; (took = take_frame(s->in.data + s->in.start, waiting(&s->in), &f)); s->in.start += took) {
        if (f.opcode == TEXT || f.opcode == BINARY) on_message(s, &f);
        else if (f.opcode == PING) put_frame(&s->out, PONG, f.data, f.count, 1);
        else if (f.opcode == CLOSE) {
            int code = f.count > 1 ? f.data[0] << 8 | f.data[1] : 0;
            if (code != 1000) fprintf(stderr, "closed with %d\n", code); /* 1000: as was asked for */
            s->dead = 1;
        }
    }
    if (window && measuring >= 0)
        for (unsigned n = s->expected - before; n--;) send_frame(s);
    flush_session(s);
}

static void turn(double until) {
    struct epoll_event events[512];
    tell_all_is_well();
    double left = until - seconds_now();
    int n = epoll_wait(loop, events, 512, left <= 0 ? 0 : (int)(left * 1000 + 0.5));
    for (int i = 0; i < n; i++) {
        Session *s = events[i].data.ptr;
        if (s->dead) continue;
        if (events[i].events & EPOLLOUT) flush_session(s);
        if (events[i].events & ~(unsigned)EPOLLOUT) read_session(s);
        if (s->dead) {
            epoll_ctl(loop, EPOLL_CTL_DEL, s->fd, NULL);
            close(s->fd);
        }
    }
}

static void open_session(Session *s, int port, const char *path, const char *token, const char *bearer) {
    char request[4096];
    s->fd = dial(port);
    int n = snprintf(request, sizeof request,
                     "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n%s%s%s%s%s%s%s\r\n",
                     path, port, token ? "Sec-WebSocket-Protocol: voice.v1, t." : "", token ? token : "", token ? "\r\n" : "",
                     bearer ? "Authorization: Bearer " : "", bearer ? bearer : "", bearer ? "\r\n" : "",
                     deflate_wanted ? "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n" : "");
    add(&s->out, request, (size_t)n);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = s};
    epoll_ctl(loop, EPOLL_CTL_ADD, s->fd, &event);
    flush_session(s);
}

/* A page that only went would be waited for: the sessions are ended, and the relay closes. */
static void end_sessions(void) {
    int open = session_count;
    for (int i = 0; i < session_count; i++) {
        char over[] = "{\"type\":\"session.end\"}";
        if (sessions[i].dead) continue;
        put_message(&sessions[i], TEXT, (uint8_t *)over, sizeof over - 1);
        flush_session(&sessions[i]);
    }
    for (double until = seconds_now() + 3; open && seconds_now() < until;) {
        turn(seconds_now() + 0.05);
        open = 0;
        for (int i = 0; i < session_count; i++) open += !sessions[i].dead;
    }
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double percentile(double share) { return latency_count ? latencies[(size_t)(share * (double)(latency_count - 1))] * 1000 : -1; }

int main(int count, char **words) {
    const char *path = "/", *tokens = NULL, *bearer = NULL;
    double warm = 1, length = 5, open_rate = 200;
    int idle = 0;
    if (count < 2) return 2;
    for (int i = 2; i + 1 < count; i += 2) {
        const char *name = words[i], *value = words[i + 1];
        if (!strcmp(name, "--dialect")) dialect = !strcmp(value, "page") ? PAGE : !strcmp(value, "json") ? JSON : PLAIN;
        else if (!strcmp(name, "--path")) path = value;
        else if (!strcmp(name, "--sessions")) session_count = atoi(value);
        else if (!strcmp(name, "--warm")) warm = atof(value);
        else if (!strcmp(name, "--seconds")) length = atof(value);
        else if (!strcmp(name, "--window")) window = atoi(value);
        else if (!strcmp(name, "--tokens")) tokens = value;
        else if (!strcmp(name, "--bearer")) bearer = value;
        else if (!strcmp(name, "--deflate")) deflate_wanted = atoi(value);
        else if (!strcmp(name, "--open-per-second")) open_rate = atof(value);
        else if (!strcmp(name, "--idle")) idle = atoi(value);
        else return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    setvbuf(stdout, NULL, _IOLBF, 0);
    many_files();
    base64_tables();
    make_speech();
    loop = epoll_create1(EPOLL_CLOEXEC);
    sessions = calloc((size_t)session_count, sizeof *sessions);
    FILE *token_file = tokens ? fopen(tokens, "r") : NULL;
    int port = atoi(words[1]);
    double began = seconds_now();
    for (int i = 0; i < session_count; i++) {
        static char token[2048];
        if (tokens && (!token_file || !fgets(token, sizeof token, token_file))) return fprintf(stderr, "not enough tokens\n"), 1;
        token[strcspn(token, "\n")] = 0;
        open_session(&sessions[i], port, path, tokens ? token : NULL, bearer);
        for (double until = began + (i + 1) / open_rate; seconds_now() < until;) turn(until);
    }
    int ready = 0;
    for (double until = seconds_now() + 30; ready < session_count && seconds_now() < until;) {
        turn(until < seconds_now() + 0.05 ? until : seconds_now() + 0.05);
        ready = 0;
        for (int i = 0; i < session_count; i++) ready += sessions[i].ready && !sessions[i].dead;
    }
    if (ready < session_count) return fprintf(stderr, "only %d of %d sessions are ready\n", ready, session_count), 1;
    if (idle) {
        printf("READY\n");
        fcntl(0, F_SETFL, O_NONBLOCK);
        for (char end[1]; read(0, end, 1) != 0;) turn(seconds_now() + 0.1);
        if (dialect == PAGE) end_sessions();
        return 0;
    }
    double start = seconds_now() + 0.3, from = start + warm, to = from + length, next = start, step = 0.04 / session_count, late = 0;
    for (; seconds_now() < start;) turn(start);
    if (window)
        for (int i = 0; i < session_count; i++)
            for (int k = 0; k < window; k++) send_frame(&sessions[i]);
    for (int cursor = 0;;) {
        double now = seconds_now();
        if (!measuring && now >= from) measuring = 1, printf("START\n");
        if (now >= to) break;
        if (window) {
            turn(now + 0.05);
            continue;
        }
        while (next <= now) {
            if (measuring && now - next > late) late = now - next;
            if (!sessions[cursor].dead) send_frame(&sessions[cursor]);
            cursor = (cursor + 1) % session_count;
            next += step;
            now = seconds_now();
        }
        turn(next < to ? next : to);
    }
    printf("END\n");
    unsigned long measured_pairs = pairs, measured_positions = positions, measured_texts = unasked;
    measuring = -1; /* what is under way may still come, and is neither counted nor answered */
    unsigned long open_ends = 1;
    for (double until = seconds_now() + 3; open_ends && seconds_now() < until;) {
        turn(seconds_now() + 0.05);
        open_ends = 0;
        for (int i = 0; i < session_count; i++) open_ends += sessions[i].sent - sessions[i].expected;
    }
    int dead = 0;
    unsigned long all_pairs = 0; /* with those before START and after END */
    for (int i = 0; i < session_count; i++) dead += sessions[i].dead, all_pairs += sessions[i].expected;
    qsort(latencies, latency_count, sizeof *latencies, by_value);
    printf("{\"sessions\":%d,\"seconds\":%.3f,\"pairs\":%lu,\"all_pairs\":%lu,\"positions\":%lu,\"texts\":%lu,\"lost\":%lu,\"reordered\":%lu,\"corrupt\":%lu,"
           "\"dead\":%d,\"p50_ms\":%.3f,\"p95_ms\":%.3f,\"p99_ms\":%.3f,\"max_ms\":%.3f,\"late_ms\":%.3f}\n",
           session_count, length, measured_pairs, all_pairs, measured_positions, measured_texts, lost + open_ends, reordered, corrupt, dead,
           percentile(0.5), percentile(0.95), percentile(0.99), percentile(1), late * 1000);
    if (dialect == PAGE) end_sessions();
    return 0;
}
