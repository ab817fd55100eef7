/* edged.h: plugins of edged in C, freestanding. docs/plugins.md says what plugins are for and
 * what each call means.
 *
 *     clang --target=wasm32 -nostdlib -O2 -Wl,--no-entry -Wl,--stack-first -I edged/sdk -o name.wasm name.c
 *
 * This is all there is: no libc, no start-up code, no allocator. A plugin defines
 * edged_on_frame or edged_on_caption, or both, and edged_on_start when it has a configuration;
 * what it defines is exported. It keeps what it wants to know in static variables. There is one
 * instance of it for each scene, and its calls come one after the other.
 *
 * The readers and builders are plain C99, so that a plugin can be tested on the machine that
 * it is written on; there the test defines the three functions edged_import_*.
 */
#ifndef EDGED_H
#define EDGED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __wasm__
#define EDGED_EXPORT(name) __attribute__((export_name(name)))
#define EDGED_IMPORT(name) __attribute__((import_module("edged"), import_name(name)))
#else
#define EDGED_EXPORT(name)
#define EDGED_IMPORT(name)
#endif

/* ---- What a plugin defines ------------------------------------------------------------- */

/* Called once, before all else, with the JSON object
 *     {"abi":1,"scene":"yard","views":["gate","door"],"permissions":["on_frame"],"config":...}
 * of size bytes; see edged_parse. Anything but 0 refuses to run: the last line logged is the
 * reason that edged shows. Optional. */
EDGED_EXPORT("edged_on_start") uint32_t edged_on_start(const void *input, uint32_t size);

/* Called for each picture; see edged_frame_of. Returns EDGED_KEEP or what edged_skip or
 * edged_judge return. */
EDGED_EXPORT("edged_on_frame") uint64_t edged_on_frame(const void *input, uint32_t size);

/* Called for each caption, with the JSON object
 *     {"scene":"yard","text":"...","lang":"en","time":1700000000000,"clock":4500,"frame":77,"views":["gate"]}
 * of size bytes, times in milliseconds. Returns EDGED_PASS or what edged_answer returns. */
EDGED_EXPORT("edged_on_caption") uint64_t edged_on_caption(const void *input, uint32_t size);

#define EDGED_KEEP ((uint64_t)0)
#define EDGED_PASS ((uint64_t)0)

/* ---- What edged offers ----------------------------------------------------------------- */

EDGED_IMPORT("log") void edged_import_log(uint32_t level, const char *line, uint32_t size);
EDGED_IMPORT("emit") void edged_import_emit(const char *json, uint32_t size);
EDGED_IMPORT("clock") int64_t edged_import_clock(void);

enum { EDGED_DEBUG, EDGED_INFO, EDGED_WARN, EDGED_ERROR };

/* Milliseconds since edged started. It never jumps. */
static inline int64_t edged_clock(void)
{
	return edged_import_clock();
}

static inline uint32_t edged_length(const char *text)
{
	uint32_t n = 0;
	while (text[n])
		n++;
	return n;
}

/* Writes a line to edged's log, 20 a minute and 512 bytes of each at most. */
static inline void edged_log(uint32_t level, const char *line)
{
	edged_import_log(level, line, edged_length(line));
}

/* ---- Text ------------------------------------------------------------------------------ */

/* A text that grows in an array of the plugin's:
 *     char room[200];
 *     edged_text t = EDGED_TEXT(room);
 *     edged_put(&t, "frame ");
 *     edged_put_int(&t, 7);
 * to is a string that ends with 0. What does not fit is left out whole, and all that comes
 * after it; full says so. */
typedef struct {
	char *to;
	uint32_t size; /* without the 0 */
	uint32_t room;
	bool full;
} edged_text;

#define EDGED_TEXT(array) {((array)[0] = 0, (array)), 0, sizeof(array), false}

static inline void edged_put_bytes(edged_text *t, const char *bytes, uint32_t size)
{
	if (t->full || size >= t->room - t->size) {
		t->full = true;
		return;
	}
	for (uint32_t i = 0; i < size; i++)
		t->to[t->size + i] = bytes[i];
	t->size += size;
	t->to[t->size] = 0;
}

static inline void edged_put(edged_text *t, const char *text)
{
	edged_put_bytes(t, text, edged_length(text));
}

static inline void edged_put_int(edged_text *t, int64_t value)
{
	char digits[20];
	uint32_t at = sizeof digits;
	uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
	do
		digits[--at] = (char)('0' + rest % 10);
	while (rest /= 10);
	if (value < 0)
		digits[--at] = '-';
	edged_put_bytes(t, digits + at, (uint32_t)sizeof digits - at);
}

/* As a JSON string, in its quotes. The text is UTF-8. */
static inline void edged_put_json(edged_text *t, const char *text)
{
	edged_put(t, "\"");
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;
		char escaped[6] = {'\\', 'u', '0', '0', (char)('0' + (c >> 4)), "0123456789abcdef"[c & 15]};
		if (c < 0x20)
			edged_put_bytes(t, escaped, 6);
		else if (c == '"' || c == '\\')
			escaped[1] = (char)c, edged_put_bytes(t, escaped, 2);
		else
			edged_put_bytes(t, text, 1);
	}
	edged_put(t, "\"");
}

/* ---- JSON ------------------------------------------------------------------------------ */

/* A value within a JSON text, which must stay where it is. {0} is no value: what has not been
 * there, and what follows from it. */
typedef struct {
	const char *at, *end; /* where the value begins, where the text ends */
	const char *key;      /* of a member of an object, its quoted name */
} edged_json;

enum { EDGED_NONE, EDGED_NULL, EDGED_BOOL, EDGED_NUMBER, EDGED_STRING, EDGED_ARRAY, EDGED_OBJECT };

/* How deep arrays and objects may be within each other. */
#define EDGED_DEPTH 32

static inline const char *edged__space(const char *p, const char *end)
{
	while (p < end && (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r'))
		p++;
	return p;
}

static inline const char *edged__digits(const char *p, const char *end)
{
	const char *first = p;
	while (p < end && *p >= '0' && *p <= '9')
		p++;
	return p > first ? p : NULL;
}

/* The functions edged__skip_* return what follows a value, NULL where none begins at p. */
static inline const char *edged__skip_number(const char *p, const char *end)
{
	if (p < end && *p == '-')
		p++;
	if (p < end && *p == '0')
		p++;
	else if (!(p = edged__digits(p, end)))
		return NULL;
	if (p < end && *p == '.' && !(p = edged__digits(p + 1, end)))
		return NULL;
	if (p < end && (*p == 'e' || *p == 'E')) {
		p++;
		if (p < end && (*p == '+' || *p == '-'))
			p++;
		p = edged__digits(p, end);
	}
	return p;
}

/* The value of four hexadecimal digits, -1 where they are not. */
static inline int32_t edged__hex(const char *p, const char *end)
{
	int32_t value = 0;
	if (end - p < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		char c = p[i], lower = (char)(c | 0x20);
		if (c >= '0' && c <= '9')
			value = value * 16 + (c - '0');
		else if (lower >= 'a' && lower <= 'f')
			value = value * 16 + (lower - 'a' + 10);
		else
			return -1;
	}
	return value;
}

static inline const char *edged__skip_string(const char *p, const char *end)
{
	if (p == end || *p++ != '"')
		return NULL;
	while (p < end) {
		unsigned char c = (unsigned char)*p++;
		if (c == '"')
			return p;
		if (c < 0x20)
			return NULL;
		if (c != '\\')
			continue;
		if (p == end)
			return NULL;
		switch (*p++) {
		case '"': case '\\': case '/': case 'b': case 'f': case 'n': case 'r': case 't':
			break;
		case 'u':
			if (edged__hex(p, end) < 0)
				return NULL;
			p += 4;
			break;
		default:
			return NULL;
		}
	}
	return NULL;
}

static inline const char *edged__skip_word(const char *p, const char *end, const char *word)
{
	for (; *word; word++, p++)
		if (p == end || *p != *word)
			return NULL;
	return p;
}

/* Skips the name of a member and its colon. */
static inline const char *edged__skip_name(const char *p, const char *end)
{
	p = edged__skip_string(p, end);
	if (!p)
		return NULL;
	p = edged__space(p, end);
	return p < end && *p == ':' ? edged__space(p + 1, end) : NULL;
}

static inline const char *edged__skip(const char *p, const char *end, uint32_t depth)
{
	char close;
	if (p == end)
		return NULL;
	switch (*p) {
	case '"':
		return edged__skip_string(p, end);
	case 't':
		return edged__skip_word(p, end, "true");
	case 'f':
		return edged__skip_word(p, end, "false");
	case 'n':
		return edged__skip_word(p, end, "null");
	case '{':
		close = '}';
		break;
	case '[':
		close = ']';
		break;
	default:
		return edged__skip_number(p, end);
	}
	if (depth == EDGED_DEPTH)
		return NULL;
	p = edged__space(p + 1, end);
	if (p < end && *p == close)
		return p + 1;
	for (;;) {
		if (close == '}')
			p = edged__skip_name(p, end);
		if (p)
			p = edged__skip(p, end, depth + 1);
		if (!p)
			return NULL;
		p = edged__space(p, end);
		if (p == end)
			return NULL;
		if (*p == close)
			return p + 1;
		if (*p != ',')
			return NULL;
		p = edged__space(p + 1, end);
	}
}

/* The value that a text of size bytes is; no value where it is not JSON from end to end, or
 * deeper than EDGED_DEPTH. */
static inline edged_json edged_parse(const void *text, uint32_t size)
{
	const char *p = (const char *)text, *end = p + size;
	edged_json none = {0}, value = {0};
	value.at = edged__space(p, end);
	value.end = end;
	p = edged__skip(value.at, end, 0);
	return p && edged__space(p, end) == end ? value : none;
}

static inline int edged_kind(edged_json v)
{
	if (!v.at)
		return EDGED_NONE;
	switch (*v.at) {
	case 'n':
		return EDGED_NULL;
	case 't': case 'f':
		return EDGED_BOOL;
	case '"':
		return EDGED_STRING;
	case '[':
		return EDGED_ARRAY;
	case '{':
		return EDGED_OBJECT;
	default:
		return EDGED_NUMBER;
	}
}

/* The first value of an array, and the first member of an object, which has a key too:
 *     for (edged_json e = edged_first(v); edged_kind(e); e = edged_next(e)) */
static inline edged_json edged_first(edged_json v)
{
	edged_json none = {0};
	int kind = edged_kind(v);
	if (kind != EDGED_ARRAY && kind != EDGED_OBJECT)
		return none;
	v.at = edged__space(v.at + 1, v.end);
	if (*v.at == ']' || *v.at == '}')
		return none;
	v.key = NULL;
	if (kind == EDGED_OBJECT) {
		v.key = v.at;
		v.at = edged__skip_name(v.at, v.end);
	}
	return v;
}

/* The value, or member, after one that edged_first or edged_next has returned. */
static inline edged_json edged_next(edged_json v)
{
	edged_json none = {0};
	if (!v.at)
		return none;
	v.at = edged__space(edged__skip(v.at, v.end, 0), v.end);
	if (v.at == v.end || *v.at != ',')
		return none;
	v.at = edged__space(v.at + 1, v.end);
	if (v.key) {
		v.key = v.at;
		v.at = edged__skip_name(v.at, v.end);
	}
	return v;
}

/* Decodes one character of a string, at *p behind its opening quote, into UTF-8: up to four
 * bytes, of which it returns the number, 0 at the end. Half a surrogate pair becomes U+FFFD. */
static inline uint32_t edged__char(const char **p, const char *end, char out[4])
{
	int32_t c, low;
	out[0] = *(*p)++;
	if (out[0] == '"')
		return 0;
	if (out[0] != '\\')
		return 1;
	out[0] = *(*p)++;
	switch (out[0]) {
	case 'b':
		out[0] = '\b';
		return 1;
	case 'f':
		out[0] = '\f';
		return 1;
	case 'n':
		out[0] = '\n';
		return 1;
	case 'r':
		out[0] = '\r';
		return 1;
	case 't':
		out[0] = '\t';
		return 1;
	case 'u':
		break;
	default:
		return 1;
	}
	c = edged__hex(*p, end);
	*p += 4;
	if (c >= 0xd800 && c < 0xe000) {
		low = end - *p >= 6 && (*p)[0] == '\\' && (*p)[1] == 'u' ? edged__hex(*p + 2, end) : -1;
		if (c < 0xdc00 && low >= 0xdc00 && low < 0xe000) {
			*p += 6;
			c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
		} else {
			c = 0xfffd;
		}
	}
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (char)(0xc0 | c >> 6);
		out[1] = (char)(0x80 | (c & 63));
		return 2;
	}
	if (c < 0x10000) {
		out[0] = (char)(0xe0 | c >> 12);
		out[1] = (char)(0x80 | (c >> 6 & 63));
		out[2] = (char)(0x80 | (c & 63));
		return 3;
	}
	out[0] = (char)(0xf0 | c >> 18);
	out[1] = (char)(0x80 | (c >> 12 & 63));
	out[2] = (char)(0x80 | (c >> 6 & 63));
	out[3] = (char)(0x80 | (c & 63));
	return 4;
}

static inline bool edged__equal(const char *quoted, const char *end, const char *text)
{
	char c[4];
	uint32_t n;
	quoted++;
	while ((n = edged__char(&quoted, end, c)))
		for (uint32_t i = 0; i < n; i++)
			if (!*text || c[i] != *text++)
				return false;
	return !*text;
}

static inline int32_t edged__string(const char *quoted, const char *end, char *out, uint32_t room)
{
	char c[4];
	uint32_t n, size = 0;
	quoted++;
	while ((n = edged__char(&quoted, end, c))) {
		if (n >= room - size)
			return -1;
		for (uint32_t i = 0; i < n; i++)
			out[size++] = c[i];
	}
	out[size] = 0;
	return (int32_t)size;
}

/* Whether a value is the string text, and whether a member has the name text. */
static inline bool edged_is(edged_json v, const char *text)
{
	return edged_kind(v) == EDGED_STRING && edged__equal(v.at, v.end, text);
}

static inline bool edged_key_is(edged_json member, const char *text)
{
	return member.at && member.key && edged__equal(member.key, member.end, text);
}

/* Write a string, and a member's name, to out, and a 0 behind; room is at least 1. They return
 * the bytes without that 0, -1 when it is no string or does not fit. */
static inline int32_t edged_string(edged_json v, char *out, uint32_t room)
{
	return edged_kind(v) == EDGED_STRING ? edged__string(v.at, v.end, out, room) : -1;
}

static inline int32_t edged_key(edged_json member, char *out, uint32_t room)
{
	return member.at && member.key ? edged__string(member.key, member.end, out, room) : -1;
}

/* The member of an object that has a name, the first of several. */
static inline edged_json edged_get(edged_json object, const char *name)
{
	edged_json e = edged_first(object);
	while (e.at && !edged_key_is(e, name))
		e = edged_next(e);
	return e;
}

static inline bool edged_bool(edged_json v, bool *out)
{
	if (edged_kind(v) != EDGED_BOOL)
		return false;
	*out = *v.at == 't';
	return true;
}

/* Sets *out to a number: exactly where it has up to 15 digits and an exponent within 22,
 * else to within 1e-13 of it. A number too large for a double is none. */
static inline bool edged_number(edged_json v, double *out)
{
	const char *p = v.at;
	uint64_t mantissa = 0;
	int32_t exponent = 0, written = 0;
	bool fraction = false, negative;
	double value, power = 10, scale = 1;
	if (edged_kind(v) != EDGED_NUMBER)
		return false;
	negative = *p == '-';
	for (p += negative; p < v.end && ((*p >= '0' && *p <= '9') || *p == '.'); p++) {
		if (*p == '.') {
			fraction = true;
		} else if (mantissa < UINT64_MAX / 10 - 1) {
			mantissa = mantissa * 10 + (uint64_t)(*p - '0');
			exponent -= fraction;
		} else {
			exponent += !fraction;
		}
	}
	if (p < v.end && (*p == 'e' || *p == 'E')) {
		bool minus = p[1] == '-';
		for (p += 1 + (p[1] == '-' || p[1] == '+'); p < v.end && *p >= '0' && *p <= '9'; p++)
			if (written < 100000)
				written = written * 10 + (*p - '0');
		exponent += minus ? -written : written;
	}
	value = (double)mantissa;
	if (mantissa && exponent < -250)
		value *= 1e-100, value *= 1e-100, exponent += 200; /* so that scale is finite */
	for (uint32_t n = (uint32_t)(exponent < 0 ? -exponent : exponent); mantissa && n; n >>= 1, power *= power)
		if (n & 1)
			scale *= power;
	value = exponent < 0 ? value / scale : value * scale;
	if (value > 1.7976931348623157e308)
		return false;
	*out = negative ? -value : value;
	return true;
}

/* ---- Pictures -------------------------------------------------------------------------- */

/* A picture, valid until the call returns. Its pixels are rows from the top, of red, green and
 * blue, a byte each, without padding. */
typedef struct {
	uint32_t header_size; /* bytes of all this, or more */
	uint32_t view;        /* number of the view in edged_on_start's list */
	uint32_t width, height;
	uint32_t format;      /* EDGED_RGB8 */
	uint32_t flags;       /* EDGED_FULL: the camera's picture; else a preview of at most 80 x 60 */
	uint32_t camera_width, camera_height;
	uint64_t time;        /* of capture, as good as the device knows it: Unix milliseconds */
	uint64_t clock;       /* of capture, by the clock of edged_clock */
	uint64_t number;      /* of the view's pictures */
	uint32_t pixel_offset, reserved;
} edged_frame;

enum { EDGED_RGB8 = 1, EDGED_FULL = 1 };

typedef char edged__frame_has_64_bytes[sizeof(edged_frame) == 64 ? 1 : -1];

/* The picture that edged_on_frame was given; NULL for one that this header does not know. */
static inline const edged_frame *edged_frame_of(const void *input, uint32_t size)
{
	const edged_frame *f = (const edged_frame *)input;
	if (size < sizeof *f || f->header_size < sizeof *f || f->format != EDGED_RGB8 || f->pixel_offset < sizeof *f ||
	    f->pixel_offset > size || !f->width || !f->height || f->width > size || f->height > size / f->width / 3 ||
	    f->width * f->height * 3 > size - f->pixel_offset)
		return NULL;
	return f;
}

static inline const uint8_t *edged_pixels(const edged_frame *f)
{
	return (const uint8_t *)f + f->pixel_offset;
}

/* A part of a picture, in fractions of its width and height from the top left. */
typedef struct {
	float x, y, width, height;
} edged_rect;

#define EDGED_MAX_MASKS 16

/* What becomes of a picture; {0} keeps it. */
typedef struct {
	uint32_t skip;       /* 1: it is left out, as if its camera had delivered none */
	uint32_t has_region; /* 1: what the model sees of it is region */
	edged_rect region;
	uint32_t masks;      /* how many parts are painted black */
	edged_rect mask[EDGED_MAX_MASKS];
} edged_verdict;

static inline uint64_t edged__packed(const void *p, uint32_t size)
{
	return (uint64_t)(uintptr_t)p << 32 | size;
}

/* What edged_on_frame returns for a verdict, which must be static. */
static inline uint64_t edged_judge(const edged_verdict *v)
{
	return edged__packed(v, (uint32_t)(offsetof(edged_verdict, mask) + v->masks * sizeof(edged_rect)));
}

static inline uint64_t edged_skip(void)
{
	static const edged_verdict skip = {.skip = 1};
	return edged_judge(&skip);
}

/* ---- Captions and alerts --------------------------------------------------------------- */

#define EDGED_MAX_TAGS 8

static inline void edged__put_tags(edged_text *t, const char *const tags[EDGED_MAX_TAGS])
{
	edged_put(t, "[");
	for (int i = 0; i < EDGED_MAX_TAGS && tags[i]; i++) {
		if (i)
			edged_put(t, ",");
		edged_put_json(t, tags[i]);
	}
	edged_put(t, "]");
}

/* An event that a plugin makes by itself: a text of at most 1 KiB, and if wanted tags of at most
 * 64 bytes and the name of a view. */
typedef struct {
	const char *text;
	const char *tags[EDGED_MAX_TAGS];
	const char *view;
} edged_alert;

/* Tells watchers and the log. Without effect without the permission emit, and when there were
 * ten in the last minute. */
static inline void edged_emit(const edged_alert *a)
{
	static char room[4096];
	edged_text t = EDGED_TEXT(room);
	edged_put(&t, "{\"text\":");
	edged_put_json(&t, a->text);
	edged_put(&t, ",\"tags\":");
	edged__put_tags(&t, a->tags);
	if (a->view) {
		edged_put(&t, ",\"view\":");
		edged_put_json(&t, a->view);
	}
	edged_put(&t, "}");
	if (t.full)
		edged_log(EDGED_ERROR, "an alert is too long and was not made");
	else
		edged_import_emit(t.to, t.size);
}

/* What becomes of a caption; {0} lets it pass. */
typedef struct {
	const char *action;               /* NULL, "drop", or "replace" */
	const char *text;                 /* with replace: at most 4 KiB */
	const char *tags[EDGED_MAX_TAGS]; /* at most 64 bytes each */
	const char *alert;                /* an event beside the caption: at most 1 KiB */
} edged_caption_answer;

/* What edged_on_caption returns for an answer. */
static inline uint64_t edged_answer(const edged_caption_answer *a)
{
	static char room[16384];
	edged_text t = EDGED_TEXT(room);
	edged_put(&t, "{\"tags\":");
	edged__put_tags(&t, a->tags);
	if (a->action) {
		edged_put(&t, ",\"action\":");
		edged_put_json(&t, a->action);
	}
	if (a->text) {
		edged_put(&t, ",\"text\":");
		edged_put_json(&t, a->text);
	}
	if (a->alert) {
		edged_put(&t, ",\"alert\":");
		edged_put_json(&t, a->alert);
	}
	edged_put(&t, "}");
	if (t.full) {
		edged_log(EDGED_ERROR, "an answer is too long: the caption passes");
		return EDGED_PASS;
	}
	return edged__packed(t.to, t.size);
}

/* ---- The rest of the interface, which nobody calls by hand ----------------------------- */

#ifdef __wasm__

/* They are weak, so that a plugin of several files may include this in each. */
__attribute__((weak)) EDGED_EXPORT("edged_abi_version") uint32_t edged_abi_version(void)
{
	return 1;
}

/* Where edged writes the input of a call: behind the static variables. NULL where the memory
 * that the plugin may have does not suffice. */
__attribute__((weak)) EDGED_EXPORT("edged_alloc") void *edged_alloc(uint32_t size)
{
	extern unsigned char __heap_base[];
	uintptr_t at = ((uintptr_t)__heap_base + 15) & ~(uintptr_t)15;
	uint64_t pages = ((uint64_t)at + size + 65535) / 65536, now = __builtin_wasm_memory_size(0);
	if (pages > 65536 || (pages > now && __builtin_wasm_memory_grow(0, (uintptr_t)(pages - now)) == (uintptr_t)-1))
		return NULL;
	return (void *)at;
}

/* The compiler makes calls of these out of loops and assignments. */
__attribute__((weak, no_builtin)) void *memset(void *to, int value, size_t size)
{
	for (size_t i = 0; i < size; i++)
		((unsigned char *)to)[i] = (unsigned char)value;
	return to;
}

__attribute__((weak, no_builtin)) void *memmove(void *to, const void *from, size_t size)
{
	unsigned char *t = (unsigned char *)to;
	const unsigned char *f = (const unsigned char *)from;
	if (t <= f)
		for (size_t i = 0; i < size; i++)
			t[i] = f[i];
	else
		while (size--)
			t[size] = f[size];
	return to;
}

__attribute__((weak, no_builtin)) void *memcpy(void *to, const void *from, size_t size)
{
	return memmove(to, from, size);
}

__attribute__((weak, no_builtin)) int memcmp(const void *a, const void *b, size_t size)
{
	const unsigned char *x = (const unsigned char *)a, *y = (const unsigned char *)b;
	for (size_t i = 0; i < size; i++)
		if (x[i] != y[i])
			return x[i] - y[i];
	return 0;
}

#endif
#endif
