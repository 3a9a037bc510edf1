/* The plain case of the packet path, from the socket back to the socket (docs/decisions/0025-compiled-loop.md).
 *
 * Taken here: SRTP of a known source, from the path its leg is sent to, next in turn, within its budget, for receivers
 * that run. Whether a packet is that is decided by its clear head before anything is changed; everything else goes to
 * Python untouched. The numbers of legs, sources and sections live in the structs below; Python reads and sets them as
 * attributes, so both ways work on one state. No thread but the one that holds the interpreter comes here.
 */
#define PY_SSIZE_T_CLEAN
#define _GNU_SOURCE
#include <Python.h>
#include <structmember.h>

#include <arpa/inet.h>
#include <dlfcn.h>
#include <math.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

enum {
    BATCH = 32,    /* datagrams of one recvmmsg */
    QUEUE = 64,    /* datagrams of one sendmmsg */
    ROOM = 2048,   /* octets of a buffer: the largest packet, the largest head and libsrtp's longest trailer (144) */
    LARGEST = 1500,
    FIXED = 12,    /* octets of an RTP header */
    TAG = 16,      /* of AES-GCM */
    LONGEST_HEAD = 64,
    SILENT = 0x7F,
};

/* libsrtp 2, from the library that pylibsrtp brings. */
typedef int (*srtp_act)(void *context, void *packet, int *length);
static srtp_act srtp_protect, srtp_unprotect;

/* Types. Objects a struct refers to stand first, so that one macro lets the collector see them. */

#define OWNER(Type, count)                                                                   \
    static int Type##_traverse(PyObject *self, visitproc visit, void *arg) {                 \
        for (int at = 0; at < (count); at++) Py_VISIT(((Type *)self)->refs[at]);             \
        return 0;                                                                            \
    }                                                                                        \
    static int Type##_clear(PyObject *self) {                                                \
        for (int at = 0; at < (count); at++) Py_CLEAR(((Type *)self)->refs[at]);             \
        return 0;                                                                            \
    }                                                                                        \
    static void Type##_dealloc(PyObject *self) {                                             \
        PyObject_GC_UnTrack(self);                                                           \
        Type##_clear(self);                                                                  \
        Py_TYPE(self)->tp_free(self);                                                        \
    }

#define TYPE(Kind, text, more)                                                               \
    static PyTypeObject Kind##Type = {                                                       \
        PyVarObject_HEAD_INIT(NULL, 0).tp_name = "signaling.rtc._batch." #Kind,              \
        .tp_basicsize = sizeof(Kind),                                                        \
        .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | (more),                       \
        .tp_doc = text,                                                                      \
        .tp_members = Kind##_members,                                                        \
        .tp_new = PyType_GenericNew,

#define WITH_OWNED(Type)                                                                     \
    .tp_traverse = Type##_traverse, .tp_clear = Type##_clear, .tp_dealloc = Type##_dealloc,

#define OBJECT(Type, name, at) {name, T_OBJECT, offsetof(Type, refs) + (at) * sizeof(PyObject *), 0, NULL}
#define NUMBER(Type, name, field) {name, T_LONGLONG, offsetof(Type, field), 0, NULL}
#define REAL(Type, name, field) {name, T_DOUBLE, offsetof(Type, field), 0, NULL}
#define FLAG(Type, name, field) {name, T_BOOL, offsetof(Type, field), 0, NULL}

typedef struct {
    PyObject_HEAD
    double rate, burst, level, at;
} BudgetState;
static PyMemberDef BudgetState_members[] = {
    REAL(BudgetState, "_rate", rate), REAL(BudgetState, "_burst", burst),
    REAL(BudgetState, "_level", level), REAL(BudgetState, "_at", at), {0}};
TYPE(BudgetState, "A token bucket.", 0) };

typedef struct {
    PyObject_HEAD
    long long ssrc, received, octets, rate, base, highest;
    double jitter, transit;
} ReceptionState;
static PyMemberDef ReceptionState_members[] = {
    NUMBER(ReceptionState, "ssrc", ssrc), NUMBER(ReceptionState, "received", received),
    NUMBER(ReceptionState, "octets", octets), NUMBER(ReceptionState, "_rate", rate),
    NUMBER(ReceptionState, "_base", base), NUMBER(ReceptionState, "highest", highest),
    REAL(ReceptionState, "_jitter", jitter), REAL(ReceptionState, "_transit", transit), {0}};
TYPE(ReceptionState, "What came of one source.", 0) };

enum { KEPT, HISTORY_REFS };
typedef struct {
    PyObject_HEAD
    PyObject *refs[HISTORY_REFS];
    long long octets, most_packets, most_octets;
} HistoryState;
OWNER(HistoryState, HISTORY_REFS)
static PyMemberDef HistoryState_members[] = {
    OBJECT(HistoryState, "_kept", KEPT), NUMBER(HistoryState, "octets", octets),
    NUMBER(HistoryState, "_most_packets", most_packets), NUMBER(HistoryState, "_most_octets", most_octets), {0}};
TYPE(HistoryState, "Packets kept for repeats.", Py_TPFLAGS_HAVE_GC) WITH_OWNED(HistoryState) };

enum { CURRENT, OUTLETS, FEED_REFS };
typedef struct {
    PyObject_HEAD
    PyObject *refs[FEED_REFS];
} FeedState;
OWNER(FeedState, FEED_REFS)
static PyMemberDef FeedState_members[] = {
    OBJECT(FeedState, "current", CURRENT), OBJECT(FeedState, "outlets", OUTLETS), {0}};
TYPE(FeedState, "Who publishes and who receives.", Py_TPFLAGS_HAVE_GC) WITH_OWNED(FeedState) };

enum { RECEPTION, FEED, STREAM, MISSING, HISTORY, DELAY, PUBLICATION_REFS };
typedef struct {
    PyObject_HEAD
    PyObject *refs[PUBLICATION_REFS];
    long long next, payload_type, level, time;
    double last;
    char video, silent, wants_key;
} PublicationState;
OWNER(PublicationState, PUBLICATION_REFS)
static PyMemberDef PublicationState_members[] = {
    OBJECT(PublicationState, "reception", RECEPTION), OBJECT(PublicationState, "feed", FEED),
    OBJECT(PublicationState, "stream", STREAM), OBJECT(PublicationState, "_missing", MISSING),
    OBJECT(PublicationState, "history", HISTORY), OBJECT(PublicationState, "_queue", DELAY),
    NUMBER(PublicationState, "_next", next), NUMBER(PublicationState, "_payload_type", payload_type),
    NUMBER(PublicationState, "_level_number", level), NUMBER(PublicationState, "_time_number", time),
    REAL(PublicationState, "last", last), FLAG(PublicationState, "_video", video),
    FLAG(PublicationState, "silent", silent), FLAG(PublicationState, "wants_key", wants_key), {0}};
TYPE(PublicationState, "A sending section.", Py_TPFLAGS_HAVE_GC) WITH_OWNED(PublicationState) };

enum { ORIGIN, LANE, PREFIX, OUTLET_REFS };
typedef struct {
    PyObject_HEAD
    PyObject *refs[OUTLET_REFS];
    long long ssrc, packets, octets, payload_type, base, shift, time_shift, highest, timestamp;
    long long head_size, level_bits, time_bits;
    double sent_at;
    char held, paused, doubled, keeps_sent, running;
} OutletState;
OWNER(OutletState, OUTLET_REFS)
static PyMemberDef OutletState_members[] = {
    OBJECT(OutletState, "origin", ORIGIN), OBJECT(OutletState, "lane", LANE), OBJECT(OutletState, "_prefix", PREFIX),
    NUMBER(OutletState, "ssrc", ssrc), NUMBER(OutletState, "packets", packets),
    NUMBER(OutletState, "octets", octets), NUMBER(OutletState, "_payload_type", payload_type),
    NUMBER(OutletState, "_base", base), NUMBER(OutletState, "_shift", shift),
    NUMBER(OutletState, "_time_shift", time_shift), NUMBER(OutletState, "_highest", highest),
    NUMBER(OutletState, "_timestamp", timestamp), NUMBER(OutletState, "_head_size", head_size),
    NUMBER(OutletState, "_level_bits", level_bits), NUMBER(OutletState, "_time_bits", time_bits),
    REAL(OutletState, "_sent_at", sent_at), FLAG(OutletState, "held", held), FLAG(OutletState, "paused", paused),
    FLAG(OutletState, "doubled", doubled), FLAG(OutletState, "_keeps_sent", keeps_sent),
    FLAG(OutletState, "_running", running), {0}};
TYPE(OutletState, "A receiving section.", Py_TPFLAGS_HAVE_GC) WITH_OWNED(OutletState) };

enum { INCOMING, OUTGOING, REMOTE, BUDGET, SOURCES, LEG, LANE_REFS };
typedef struct {
    PyObject_HEAD
    PyObject *refs[LANE_REFS];
    double last, authenticated, deaf_until;
    long long packets, octets;
} Lane;
OWNER(Lane, LANE_REFS)
static PyMemberDef Lane_members[] = {
    OBJECT(Lane, "incoming", INCOMING), OBJECT(Lane, "outgoing", OUTGOING), OBJECT(Lane, "remote", REMOTE),
    OBJECT(Lane, "budget", BUDGET), OBJECT(Lane, "sources", SOURCES), OBJECT(Lane, "leg", LEG),
    REAL(Lane, "last", last), REAL(Lane, "authenticated", authenticated), REAL(Lane, "deaf_until", deaf_until),
    NUMBER(Lane, "packets", packets), NUMBER(Lane, "octets", octets), {0}};
TYPE(Lane, "One leg.", Py_TPFLAGS_HAVE_GC) WITH_OWNED(Lane) };

/* An SRTP context and the Session it belongs to, which it keeps alive. Nothing in it can be changed. */
enum { SESSION, CIPHER_REFS };
typedef struct {
    PyObject_HEAD
    PyObject *refs[CIPHER_REFS];
    void *context;
} Cipher;
OWNER(Cipher, CIPHER_REFS)
static PyMemberDef Cipher_members[] = {{0}};

static PyObject *Cipher_new(PyTypeObject *type, PyObject *args, PyObject *named) {
    (void)named;
    unsigned long long context;
    PyObject *session;
    if (!PyArg_ParseTuple(args, "KO", &context, &session)) return NULL;
    if (context == 0 || session == Py_None) {
        PyErr_SetString(PyExc_ValueError, "an SRTP context and its session are needed");
        return NULL;
    }
    Cipher *made = (Cipher *)type->tp_alloc(type, 0);
    if (made == NULL) return NULL;
    Py_INCREF(session);
    made->refs[SESSION] = session;
    made->context = (void *)(uintptr_t)context;
    return (PyObject *)made;
}
TYPE(Cipher, "Cipher(context, session)", Py_TPFLAGS_HAVE_GC) WITH_OWNED(Cipher) };

/* A far address and the socket it is reached by. Nothing in it can be changed. */
typedef struct {
    PyObject_HEAD
    int fd;
    socklen_t size; /* octets of `name` that count, which are its key */
    struct sockaddr_storage name;
} Address;

static socklen_t key_size(const struct sockaddr_storage *name, socklen_t given) {
    socklen_t size = name->ss_family == AF_INET    ? offsetof(struct sockaddr_in, sin_zero)
                     : name->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                                   : 0;
    return given >= size ? size : 0;
}

static PyObject *Address_new(PyTypeObject *type, PyObject *args, PyObject *named) {
    (void)named;
    int fd;
    const char *host;
    unsigned int port, flow = 0, scope = 0;
    if (!PyArg_ParseTuple(args, "is(I)", &fd, &host, &port)) {
        PyErr_Clear();
        if (!PyArg_ParseTuple(args, "is(III)", &fd, &host, &port, &flow, &scope)) return NULL;
    }
    Address *made = (Address *)type->tp_alloc(type, 0);
    if (made == NULL) return NULL;
    made->fd = fd;
    struct sockaddr_in *four = (struct sockaddr_in *)&made->name;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)&made->name;
    if (port <= 0xFFFF && inet_pton(AF_INET, host, &four->sin_addr) == 1) {
        four->sin_family = AF_INET;
        four->sin_port = htons((uint16_t)port);
    } else if (port <= 0xFFFF && inet_pton(AF_INET6, host, &six->sin6_addr) == 1) {
        six->sin6_family = AF_INET6;
        six->sin6_port = htons((uint16_t)port);
        six->sin6_flowinfo = htonl(flow);
        six->sin6_scope_id = scope;
    } else {
        Py_DECREF(made);
        PyErr_SetString(PyExc_ValueError, "an IP address and a port are needed");
        return NULL;
    }
    made->size = key_size(&made->name, sizeof made->name);
    return (PyObject *)made;
}

static PyObject *Address_key(PyObject *self, void *unused) {
    (void)unused;
    return PyBytes_FromStringAndSize((const char *)&((Address *)self)->name, ((Address *)self)->size);
}
static PyMemberDef Address_members[] = {{"fd", T_INT, offsetof(Address, fd), READONLY, NULL}, {0}};
static PyGetSetDef Address_getset[] = {{"key", Address_key, NULL, NULL, NULL}, {0}};
TYPE(Address, "Address(fd, host, (port,) or (port, flow, scope))", 0) .tp_getset = Address_getset };

/* What Python's delay filter and recorder are still to hear of a packet; each object is owned. */
typedef struct {
    Lane *lane;
    PublicationState *publication;
    PyObject *payload;
    uint32_t timestamp;
    int sequence, marker;
    long sent;
} Told;

/* The loop: what came, what waits to go out, what waits to be told, and whom to call. */
enum { ODD, FAULT, TAKE, LOOP_REFS };
typedef struct {
    PyObject_HEAD
    PyObject *refs[LOOP_REFS];
    double outage;
    long long packets, octets, sent, failed, sent_twice;
    int busy, waiting, untold;
    uint8_t (*in)[ROOM], (*out)[ROOM], *work;
    struct mmsghdr *arrivals, *leaving;
    struct iovec *arrival_parts, *leaving_parts;
    struct sockaddr_storage *from, *to;
    int *by;
    Told told[BATCH];
} Loop;

static int Loop_traverse(PyObject *self, visitproc visit, void *arg) {
    for (int at = 0; at < LOOP_REFS; at++) Py_VISIT(((Loop *)self)->refs[at]);
    return 0;
}

static int Loop_clear(PyObject *self) {
    for (int at = 0; at < LOOP_REFS; at++) Py_CLEAR(((Loop *)self)->refs[at]);
    return 0;
}

static void Loop_dealloc(PyObject *object) {
    Loop *self = (Loop *)object;
    PyObject_GC_UnTrack(object);
    Loop_clear(object);
    PyMem_Free(self->in), PyMem_Free(self->out), PyMem_Free(self->work);
    PyMem_Free(self->arrivals), PyMem_Free(self->leaving);
    PyMem_Free(self->arrival_parts), PyMem_Free(self->leaving_parts);
    PyMem_Free(self->from), PyMem_Free(self->to), PyMem_Free(self->by);
    Py_TYPE(object)->tp_free(object);
}

static PyObject *Loop_new(PyTypeObject *type, PyObject *args, PyObject *named) {
    (void)named;
    PyObject *odd, *fault;
    double outage;
    if (!PyArg_ParseTuple(args, "OOd", &odd, &fault, &outage)) return NULL;
    if (srtp_protect == NULL || srtp_unprotect == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "`use` names the library first");
        return NULL;
    }
    Loop *self = (Loop *)type->tp_alloc(type, 0);
    if (self == NULL) return NULL;
    Py_INCREF(odd), Py_INCREF(fault);
    self->refs[ODD] = odd, self->refs[FAULT] = fault;
    self->outage = outage;
    self->in = PyMem_Calloc(BATCH, ROOM), self->out = PyMem_Calloc(QUEUE, ROOM), self->work = PyMem_Calloc(1, ROOM);
    self->arrivals = PyMem_Calloc(BATCH, sizeof *self->arrivals);
    self->leaving = PyMem_Calloc(QUEUE, sizeof *self->leaving);
    self->arrival_parts = PyMem_Calloc(BATCH, sizeof *self->arrival_parts);
    self->leaving_parts = PyMem_Calloc(QUEUE, sizeof *self->leaving_parts);
    self->from = PyMem_Calloc(BATCH, sizeof *self->from), self->to = PyMem_Calloc(QUEUE, sizeof *self->to);
    self->by = PyMem_Calloc(QUEUE, sizeof *self->by);
    self->refs[TAKE] = PyUnicode_InternFromString("take");
    if (!self->in || !self->out || !self->work || !self->arrivals || !self->leaving || !self->arrival_parts ||
        !self->leaving_parts || !self->from || !self->to || !self->by || !self->refs[TAKE]) {
        Py_DECREF(self);
        return PyErr_NoMemory();
    }
    for (int at = 0; at < BATCH; at++) {
        self->arrival_parts[at] = (struct iovec){self->in[at], ROOM};
        self->arrivals[at].msg_hdr =
            (struct msghdr){.msg_name = &self->from[at], .msg_iov = &self->arrival_parts[at], .msg_iovlen = 1};
    }
    for (int at = 0; at < QUEUE; at++) {
        self->leaving_parts[at] = (struct iovec){self->out[at], 0};
        self->leaving[at].msg_hdr =
            (struct msghdr){.msg_name = &self->to[at], .msg_iov = &self->leaving_parts[at], .msg_iovlen = 1};
    }
    return (PyObject *)self;
}

/* Send what waits, in order; what the kernel does not take is dropped and counted. */
static void flush(Loop *self) {
    int at = 0;
    while (at < self->waiting) {
        int end = at + 1;
        while (end < self->waiting && self->by[end] == self->by[at]) end++;
        int went = sendmmsg(self->by[at], self->leaving + at, (unsigned)(end - at), MSG_DONTWAIT | MSG_NOSIGNAL);
        if (went > 0) {
            self->sent += went, at += went;
        } else {
            self->failed++, at++;
        }
    }
    self->waiting = 0;
}

static uint32_t read16(const uint8_t *at) { return (uint32_t)at[0] << 8 | at[1]; }
static uint32_t read32(const uint8_t *at) { return read16(at) << 16 | read16(at + 2); }
static void write16(uint8_t *at, uint32_t value) { at[0] = (uint8_t)(value >> 8), at[1] = (uint8_t)value; }
static void write32(uint8_t *at, uint32_t value) { write16(at, value >> 16), write16(at + 2, value); }

/* What the clear head of a packet says, and whose it is. Objects are borrowed: they live while no Python runs. */
typedef struct {
    PublicationState *publication;
    ReceptionState *reception;
    FeedState *feed;          /* or NULL */
    HistoryState *history;    /* or NULL: not to be kept */
    long long number;
    uint32_t timestamp;
    int start;                /* of the payload */
    int marker;               /* 0x80 or 0 */
    int level;
    long sent;                /* abs-send-time, -1 without */
} Plain;

/* Level and send time from one-byte extensions (RFC 8285 §4.2) in `at` to `end`; 0 if they are not quite plain. */
static int read_extensions(Plain *plain, const uint8_t *at, const uint8_t *end, long long level, long long time) {
    int level_found = 0, time_found = 0;
    while (at < end) {
        if (*at == 0) {
            at++;
            continue;
        }
        int number = *at >> 4, length = (*at & 0x0F) + 1;
        if (number == 15 || end - at < 1 + length) return 0;
        if (number == level && !level_found) plain->level = at[1], level_found = 1;
        if (number == time && !time_found) {
            if (length == 3) plain->sent = (long)(at[1] << 16 | at[2] << 8 | at[3]);
            time_found = 1;
        }
        at += 1 + length;
    }
    return 1;
}

/* Whether the outlet gets the packet: 1, 0 if it gets none now, -1 if Python must look at it. */
static int goes_to(PyObject *object, const Plain *plain) {
    if (!PyObject_TypeCheck(object, &OutletStateType)) return -1;
    OutletState *outlet = (OutletState *)object;
    PyObject *lane = outlet->refs[LANE], *prefix = outlet->refs[PREFIX];
    if (lane == NULL || !PyObject_TypeCheck(lane, &LaneType)) return -1;
    PyObject *outgoing = ((Lane *)lane)->refs[OUTGOING], *remote = ((Lane *)lane)->refs[REMOTE];
    if (outgoing == NULL || outgoing == Py_None || outlet->held || outlet->paused) return 0;
    if (!outlet->running || outlet->refs[ORIGIN] != (PyObject *)plain->publication) return -1;
    if (plain->number < outlet->base) return 0;
    if (outlet->doubled || outlet->keeps_sent || remote == NULL || prefix == NULL) return -1;
    if (!PyObject_TypeCheck(outgoing, &CipherType) || !PyObject_TypeCheck(remote, &AddressType)) return -1;
    if (!PyBytes_Check(prefix) || outlet->head_size > LONGEST_HEAD) return -1;
    return PyBytes_GET_SIZE(prefix) + FIXED + 6 <= outlet->head_size ? 1 : -1;
}

/* Whether the publication's packet may be taken here, as far as its feed and those who receive it say. */
static int feed_is_plain(Plain *plain) {
    PublicationState *publication = plain->publication;
    PyObject *feed = publication->refs[FEED], *history = publication->refs[HISTORY];
    if (feed == NULL || feed == Py_None) return 1;
    if (!PyObject_TypeCheck(feed, &FeedStateType)) return 0;
    plain->feed = (FeedState *)feed;
    PyObject *outlets = plain->feed->refs[OUTLETS];
    if (plain->feed->refs[CURRENT] != (PyObject *)publication || outlets == NULL || !PyTuple_Check(outlets)) return 0;
    for (Py_ssize_t at = 0; at < PyTuple_GET_SIZE(outlets); at++)
        if (goes_to(PyTuple_GET_ITEM(outlets, at), plain) < 0) return 0;
    if (publication->video && PyTuple_GET_SIZE(outlets) > 0) {
        if (history == NULL || !PyObject_TypeCheck(history, &HistoryStateType)) return 0;
        plain->history = (HistoryState *)history;
        PyObject *kept = plain->history->refs[KEPT];
        if (kept == NULL || !PyDict_CheckExact(kept)) return 0;
    }
    return 1;
}

/* Whether this is the next packet of a source that is known; 0 leaves everything as it was. -1: an exception. */
static int source_is_plain(Plain *plain, Lane *lane, const uint8_t *datagram, int size) {
    PyObject *sources = lane->refs[SOURCES];
    if (sources == NULL || !PyDict_CheckExact(sources)) return 0;
    PyObject *ssrc = PyLong_FromUnsignedLong(read32(datagram + 8));
    if (ssrc == NULL) return -1;
    PyObject *found = PyDict_GetItemWithError(sources, ssrc);
    Py_DECREF(ssrc);
    if (found == NULL) return PyErr_Occurred() ? -1 : 0;
    if (!PyObject_TypeCheck(found, &PublicationStateType)) return 0;
    PublicationState *publication = plain->publication = (PublicationState *)found;
    PyObject *reception = publication->refs[RECEPTION], *missing = publication->refs[MISSING];
    if (reception == NULL || !PyObject_TypeCheck(reception, &ReceptionStateType)) return 0;
    if (missing == NULL || !PyDict_CheckExact(missing) || PyDict_GET_SIZE(missing) > 0) return 0;
    if ((datagram[1] & 0x7F) != publication->payload_type || publication->wants_key) return 0;
    plain->reception = (ReceptionState *)reception;
    long long highest = plain->reception->highest;
    plain->number = highest + (int16_t)(uint16_t)(read16(datagram + 2) - (uint32_t)highest);
    if (plain->reception->received <= 0 || publication->next == 0 || plain->number != publication->next) return 0;
    plain->timestamp = read32(datagram + 4);
    plain->marker = datagram[1] & 0x80;
    plain->start = FIXED;
    plain->level = SILENT;
    plain->sent = -1;
    if (datagram[0] & 0x10) {
        if (size < FIXED + 4 + TAG) return 0;
        plain->start = FIXED + 4 + 4 * (int)read16(datagram + 14);
        if (plain->start > size - TAG || read16(datagram + 12) != 0xBEDE) return 0;
        if (!read_extensions(plain, datagram + 16, datagram + plain->start, publication->level, publication->time))
            return 0;
    }
    return feed_is_plain(plain);
}

/* The level that a budget has at `now`. */
static double filled(const BudgetState *budget, double now) {
    double level = budget->level + (now - budget->at) * budget->rate;
    return level < budget->burst ? level : budget->burst;
}

/* As Reception.take in reception.py. */
static void count_received(ReceptionState *reception, const Plain *plain, int octets, double now) {
    const double wrap = 4294967296.0, half = 2147483648.0;
    if (plain->number > reception->highest) reception->highest = plain->number;
    reception->received++;
    reception->octets += octets;
    double transit = fmod(now * (double)reception->rate - plain->timestamp, wrap);
    if (transit < 0) transit += wrap;
    double change = fmod(transit - reception->transit + half, wrap);
    if (change < 0) change += wrap;
    change = fabs(change - half);
    if (change < (double)reception->rate) reception->jitter += (change - reception->jitter) / 16;
    reception->transit = transit;
}

/* As History.keep in history.py. -1: an exception. */
static int keep(HistoryState *history, const Plain *plain, PyObject *payload) {
    PyObject *number = PyLong_FromLongLong(plain->number);
    PyObject *entry = number == NULL ? NULL : Py_BuildValue("(OiIO)", number, plain->marker, plain->timestamp, payload);
    PyObject *kept = history->refs[KEPT]; /* after the last act that could start a collection */
    if (entry == NULL || kept == NULL || !PyDict_CheckExact(kept)) {
        Py_XDECREF(number), Py_XDECREF(entry);
        return -1;
    }
    int there = PyDict_Contains(kept, number);
    int fault = there < 0 || (!there && PyDict_SetItem(kept, number, entry) < 0);
    Py_DECREF(entry), Py_DECREF(number);
    if (fault || there) return fault ? -1 : 0;
    history->octets += PyBytes_GET_SIZE(payload);
    while (PyDict_GET_SIZE(kept) > history->most_packets || history->octets > history->most_octets) {
        Py_ssize_t place = 0;
        PyObject *oldest, *left;
        if (!PyDict_Next(kept, &place, &oldest, &left)) break;
        if (PyTuple_CheckExact(left) && PyTuple_GET_SIZE(left) == 4 && PyBytes_Check(PyTuple_GET_ITEM(left, 3)))
            history->octets -= PyBytes_GET_SIZE(PyTuple_GET_ITEM(left, 3));
        Py_INCREF(oldest);
        fault = PyDict_DelItem(kept, oldest);
        Py_DECREF(oldest);
        if (fault) return -1;
    }
    return 0;
}

/* As Outlet.forward in outlet.py: `payload` of `size` octets leaves with the outlet's head, at the next flush. */
static void forward(Loop *self, OutletState *outlet, const Plain *plain, const uint8_t *payload, int size, double now) {
    Lane *lane = (Lane *)outlet->refs[LANE];
    const Address *remote = (const Address *)lane->refs[REMOTE];
    PyObject *prefix = outlet->refs[PREFIX];
    if (self->waiting == QUEUE) flush(self);
    uint8_t *packet = self->out[self->waiting], *at = packet + FIXED;
    long long out = plain->number + outlet->shift;
    uint32_t stamp = (uint32_t)(plain->timestamp + (unsigned long long)outlet->time_shift);
    memset(packet, 0, (size_t)outlet->head_size);
    packet[0] = 0x90;
    packet[1] = (uint8_t)(plain->marker | outlet->payload_type);
    write16(packet + 2, (uint32_t)out);
    write32(packet + 4, stamp);
    write32(packet + 8, (uint32_t)outlet->ssrc);
    memcpy(at, PyBytes_AS_STRING(prefix), (size_t)PyBytes_GET_SIZE(prefix));
    at += PyBytes_GET_SIZE(prefix);
    if (outlet->level_bits) write16(at, (uint32_t)outlet->level_bits | (uint32_t)plain->level);
    if (outlet->time_bits) write32(at + 2, (uint32_t)outlet->time_bits | ((uint32_t)(long long)(now * 262144) & 0xFFFFFF));
    memcpy(packet + outlet->head_size, payload, (size_t)size);
    int length = (int)outlet->head_size + size;
    if (srtp_protect(((Cipher *)lane->refs[OUTGOING])->context, packet, &length) != 0 || length > ROOM) {
        self->sent_twice++;
        return;
    }
    if (out > outlet->highest) outlet->highest = out, outlet->timestamp = stamp, outlet->sent_at = now;
    outlet->packets++;
    outlet->octets += size;
    self->leaving_parts[self->waiting].iov_len = (size_t)length;
    self->to[self->waiting] = remote->name;
    self->leaving[self->waiting].msg_hdr.msg_namelen =
        remote->name.ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
    self->by[self->waiting++] = remote->fd;
}

/* Give what a packet brought to Python's delay filter and recorder. -1: an exception. Anything may change in here. */
static int tell(Loop *self, const Told *told, double now) {
    PyObject *delay = told->publication->refs[DELAY], *answer;
    if (told->marker && told->sent >= 0 && delay != NULL) {
        Py_INCREF(delay);
        answer = PyObject_CallMethod(delay, "heard", "ld", told->sent, now);
        Py_DECREF(delay);
        if (answer == NULL) return -1;
        Py_DECREF(answer);
    }
    PyObject *stream = told->publication->refs[STREAM];
    if (stream == NULL || stream == Py_None) return 0;
    Py_INCREF(stream);
    PyObject *sequence = PyLong_FromLong(told->sequence), *timestamp = PyLong_FromUnsignedLong(told->timestamp),
             *at = PyFloat_FromDouble(now);
    int made = sequence != NULL && timestamp != NULL && at != NULL;
    PyObject *given[] = {stream, sequence, told->marker ? Py_True : Py_False, timestamp, told->payload, at};
    answer = made ? PyObject_VectorcallMethod(self->refs[TAKE], given, 6, NULL) : NULL;
    Py_XDECREF(at), Py_XDECREF(timestamp), Py_XDECREF(sequence), Py_XDECREF(answer);
    Py_DECREF(stream);
    return answer == NULL ? -1 : 0;
}

static int blame(Loop *self, Lane *lane);

/* Send what waits, then tell Python, in the order of arrival: it may send as well. A fault ends the leg whose packet
 * it was; -1: that failed as well, or an exception was set before, and the rest stays untold. */
static int settle(Loop *self, double now) {
    flush(self);
    int fault = PyErr_Occurred() != NULL;
    for (int at = 0; at < self->untold; at++) {
        Told told = self->told[at];
        if (!fault && tell(self, &told, now) < 0) fault = blame(self, told.lane) < 0;
        Py_DECREF(told.lane), Py_DECREF(told.publication), Py_DECREF(told.payload);
    }
    self->untold = 0;
    return fault ? -1 : 0;
}

/* One datagram: 1 if it was taken, 0 if Python must look at it (nothing has changed then), -1: an exception. */
static int take(Loop *self, Lane *lane, int fd, const struct sockaddr_storage *from, socklen_t key,
                const uint8_t *datagram, int size, double now) {
    PyObject *incoming = lane->refs[INCOMING], *remote = lane->refs[REMOTE], *budget = lane->refs[BUDGET];
    if (size < FIXED + TAG || size > LARGEST || (datagram[0] & 0xEF) != 0x80) return 0;
    if (datagram[1] >= 192 && datagram[1] <= 223) return 0;
    if (incoming == NULL || !PyObject_TypeCheck(incoming, &CipherType)) return 0;
    if (remote == NULL || !PyObject_TypeCheck(remote, &AddressType)) return 0;
    const Address *usual = (const Address *)remote;
    if (usual->fd != fd || usual->size != key || memcmp(&usual->name, from, key) != 0) return 0;
    if (budget == NULL || !PyObject_TypeCheck(budget, &BudgetStateType)) return 0;
    BudgetState *bucket = (BudgetState *)budget;
    if (!(now >= lane->deaf_until) || !(now - lane->last <= self->outage) || !(filled(bucket, now) >= 1.0)) return 0;
    Plain plain = {0};
    int verdict = source_is_plain(&plain, lane, datagram, size);
    if (verdict <= 0) return verdict;
    int length = size;
    memcpy(self->work, datagram, (size_t)size);
    if (srtp_unprotect(((Cipher *)incoming)->context, self->work, &length) != 0) return 0; /* Python finds out why */
    if (length < plain.start || length > size) {
        PyErr_SetString(PyExc_SystemError, "libsrtp answered a length that cannot be");
        return -1;
    }
    const uint8_t *body = self->work + plain.start;
    int octets = length - plain.start, told = plain.publication->refs[STREAM] != NULL &&
                                              plain.publication->refs[STREAM] != Py_None;
    lane->last = lane->authenticated = now;
    bucket->level = filled(bucket, now) - 1.0, bucket->at = now;
    lane->packets++;
    lane->octets += length;
    count_received(plain.reception, &plain, octets + FIXED, now);
    plain.publication->next = plain.number + 1;
    plain.publication->last = now;
    plain.publication->silent = 0;
    PyObject *outlets = plain.feed == NULL ? NULL : plain.feed->refs[OUTLETS];
    for (Py_ssize_t at = 0; outlets != NULL && at < PyTuple_GET_SIZE(outlets); at++) {
        PyObject *outlet = PyTuple_GET_ITEM(outlets, at);
        if (goes_to(outlet, &plain) == 1) forward(self, (OutletState *)outlet, &plain, body, octets, now);
    }
    if (plain.history == NULL && !told && !(plain.marker && plain.sent >= 0)) return 1;
    PyObject *payload = PyBytes_FromStringAndSize((const char *)body, octets);
    if (payload == NULL) return -1;
    Py_INCREF(plain.publication), Py_INCREF(plain.reception), Py_XINCREF(plain.history);
    int fault = plain.history != NULL ? keep(plain.history, &plain, payload) : 0;
    if (fault == 0 && (told || (plain.marker && plain.sent >= 0))) {
        Py_INCREF(lane), Py_INCREF(plain.publication), Py_INCREF(payload);
        self->told[self->untold++] = (Told){
            .lane = lane, .publication = plain.publication, .payload = payload,
            .timestamp = plain.timestamp, .sequence = (int)(plain.number & 0xFFFF), .marker = plain.marker,
            .sent = plain.sent};
    }
    Py_DECREF(plain.publication), Py_DECREF(plain.reception), Py_XDECREF(plain.history);
    Py_DECREF(payload);
    return fault == 0 ? 1 : -1;
}

/* End the lane's leg for the exception that is set. -1: that failed as well. */
static int blame(Loop *self, Lane *lane) {
    PyObject *kind, *error, *trace, *leg = lane->refs[LEG];
    if (leg == NULL || leg == Py_None) return -1;
    Py_INCREF(leg);
    PyErr_Fetch(&kind, &error, &trace);
    PyErr_NormalizeException(&kind, &error, &trace);
    if (trace != NULL) PyException_SetTraceback(error, trace);
    if (!PyObject_IsInstance(error, PyExc_Exception)) {
        PyErr_Restore(kind, error, trace);
        Py_DECREF(leg);
        return -1;
    }
    PyObject *answer = PyObject_CallFunctionObjArgs(self->refs[FAULT], leg, error, NULL);
    Py_DECREF(leg);
    Py_XDECREF(kind), Py_XDECREF(error), Py_XDECREF(trace);
    Py_XDECREF(answer);
    return answer == NULL ? -1 : 0;
}

/* The address as Python's sockets give it. */
static PyObject *spelled(const struct sockaddr_storage *from, socklen_t size) {
    char host[NI_MAXHOST];
    int fault = getnameinfo((const struct sockaddr *)from, size, host, sizeof host, NULL, 0, NI_NUMERICHOST);
    if (fault != 0) {
        PyErr_SetString(PyExc_OSError, "an address without a spelling");
        return NULL;
    }
    if (from->ss_family == AF_INET) return Py_BuildValue("(si)", host, ntohs(((struct sockaddr_in *)from)->sin_port));
    const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)from;
    return Py_BuildValue("(siII)", host, ntohs(six->sin6_port), ntohl(six->sin6_flowinfo), six->sin6_scope_id);
}

/* Give the datagram at `at` to `odd(door, datagram, address, now)`. -1: an exception. */
static int give(Loop *self, PyObject *door, int at, int size, double now) {
    if (settle(self, now) < 0) return -1;
    PyObject *raw = spelled(&self->from[at], self->arrivals[at].msg_hdr.msg_namelen);
    if (raw == NULL) return -1;
    PyObject *answer = PyObject_CallFunction(self->refs[ODD], "Oy#Nd", door, self->in[at], (Py_ssize_t)size, raw, now);
    Py_XDECREF(answer);
    return answer == NULL ? -1 : 0;
}

static int one(Loop *self, PyObject *door, PyObject *lanes, int main, int at, double now) {
    int size = self->arrivals[at].msg_len < ROOM ? (int)self->arrivals[at].msg_len : ROOM;
    const struct sockaddr_storage *from = &self->from[at];
    socklen_t key = key_size(from, self->arrivals[at].msg_hdr.msg_namelen);
    if (key == 0) return 0; /* no address of a kind that browsers have */
    PyObject *name = PyBytes_FromStringAndSize((const char *)from, key);
    if (name == NULL) return -1;
    PyObject *lane = PyDict_GetItemWithError(lanes, name);
    Py_DECREF(name);
    if (lane == NULL && PyErr_Occurred()) return -1;
    if (lane == NULL || !PyObject_TypeCheck(lane, &LaneType)) return give(self, door, at, size, now);
    Py_INCREF(lane);
    int taken = take(self, (Lane *)lane, main, from, key, self->in[at], size, now);
    if (taken == 1) self->packets++, self->octets += size;
    if (taken < 0) taken = blame(self, (Lane *)lane) < 0 ? -1 : 1;
    Py_DECREF(lane);
    return taken == 0 ? give(self, door, at, size, now) : taken;
}

static PyObject *Loop_drain(PyObject *object, PyObject *args) {
    Loop *self = (Loop *)object;
    PyObject *door, *lanes;
    int fd, main, most, done = 0;
    double now;
    if (!PyArg_ParseTuple(args, "OO!iiid", &door, &PyDict_Type, &lanes, &fd, &main, &most, &now)) return NULL;
    if (self->busy) {
        PyErr_SetString(PyExc_RuntimeError, "the loop is at work");
        return NULL;
    }
    self->busy = 1;
    Py_INCREF(door), Py_INCREF(lanes);
    int fault = 0;
    while (done < most && !fault) {
        int wanted = most - done < BATCH ? most - done : BATCH;
        for (int at = 0; at < wanted; at++) self->arrivals[at].msg_hdr.msg_namelen = sizeof *self->from;
        int came = recvmmsg(fd, self->arrivals, (unsigned)wanted, MSG_DONTWAIT, NULL);
        if (came < 0 && errno == EINTR) came = 0;
        if (came < 0 && errno != EAGAIN && errno != EWOULDBLOCK) {
            PyErr_SetFromErrno(PyExc_OSError);
            fault = 1;
        }
        for (int at = 0; at < came && !fault; at++) fault = one(self, door, lanes, main, at, now) < 0;
        fault = settle(self, now) < 0; /* the room for what is told is that of one batch */
        done += came > 0 ? came : 0;
        if (came < wanted) break;
    }
    self->busy = 0;
    Py_DECREF(door), Py_DECREF(lanes);
    return fault ? NULL : PyLong_FromLong(done);
}

static PyMethodDef Loop_methods[] = {
    {"drain", Loop_drain, METH_VARARGS, "drain(door, lanes, fd, main, most, now): how many datagrams were there"},
    {0}};
static PyMemberDef Loop_members[] = {
    NUMBER(Loop, "packets", packets), NUMBER(Loop, "octets", octets), NUMBER(Loop, "sent", sent),
    NUMBER(Loop, "failed", failed), NUMBER(Loop, "sent_twice", sent_twice), {0}};
TYPE(Loop, "Loop(odd, fault, outage)", Py_TPFLAGS_HAVE_GC) WITH_OWNED(Loop).tp_methods = Loop_methods };

static PyObject *use(PyObject *module, PyObject *args) {
    (void)module;
    const char *path;
    if (!PyArg_ParseTuple(args, "s", &path)) return NULL;
    void *library = dlopen(path, RTLD_NOW | RTLD_NOLOAD); /* never closed: its functions stay in use */
    void *protect = library == NULL ? NULL : dlsym(library, "srtp_protect");
    void *unprotect = library == NULL ? NULL : dlsym(library, "srtp_unprotect");
    if (protect == NULL || unprotect == NULL) {
        PyErr_SetString(PyExc_ImportError, "no libsrtp in what pylibsrtp brings");
        return NULL;
    }
    memcpy(&srtp_protect, &protect, sizeof protect), memcpy(&srtp_unprotect, &unprotect, sizeof unprotect);
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {{"use", use, METH_VARARGS, "use(path): take libsrtp from this loaded library"}, {0}};
static PyModuleDef module = {PyModuleDef_HEAD_INIT, .m_name = "_batch", .m_size = -1, .m_methods = methods};

PyMODINIT_FUNC PyInit__batch(void) {
    static PyTypeObject *types[] = {
        &BudgetStateType, &ReceptionStateType, &HistoryStateType, &FeedStateType, &PublicationStateType,
        &OutletStateType, &LaneType, &CipherType, &AddressType, &LoopType};
    CipherType.tp_new = Cipher_new;
    AddressType.tp_new = Address_new;
    LoopType.tp_new = Loop_new;
    PyObject *made = PyModule_Create(&module);
    for (size_t at = 0; made != NULL && at < sizeof types / sizeof *types; at++)
        if (PyModule_AddType(made, types[at]) < 0) Py_CLEAR(made);
    return made;
}
