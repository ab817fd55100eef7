/* crossing: a plugin of edged that has the model look at a scene only while something moves
 * there, and that tells when something crosses a line or enters a zone. docs/plugins.md has
 * its configuration.
 *
 * Each view has a background: what a cell of its preview has looked like lately. Cells that
 * differ from it are grouped into blobs, blobs are followed from picture to picture, and a
 * blob whose centre gets from one side of the line to the other has crossed it. Where several
 * meet each goes on with the cells that look like it. What stays where it is becomes background
 * after a while.
 */
#include "edged.h"

enum {
	MAX_VIEWS = 16,
	MAX_NAME = 128,
	MAX_CORNERS = 16,
	MAX_BLOBS = 8,
	GRID_WIDTH = 80,
	GRID_HEIGHT = 60,
	CELLS = GRID_WIDTH * GRID_HEIGHT,
	NEAR = 1,    /* cells apart at which two belong to one blob */
	ADAPT = 10,  /* seconds in which the background follows the light */
	FORGET = 3,  /* pictures without its blob after which a track ends */
};

#define REACH 0.3f   /* how far a blob gets between two pictures, in fractions of the picture */
#define FADE 50      /* how much its colour differs then, of 255 */
#define UNLIKE 80    /* a difference of colour that weighs like a distance of a blob's own size */
#define MARGIN 0.015f /* how far from the line a centre is clearly on one side */

typedef struct {
	float x, y;
} point;

/* Where a view is looked at, in fractions of the picture. */
typedef struct {
	bool has_line, has_zone;
	point line[2];
	point zone[MAX_CORNERS];
	uint32_t corners;
} place;

typedef struct {
	point centre;
	uint32_t cells;
	float colour[3]; /* the mean */
	int of;          /* the track whose part of a group it is; -1 if that is not known */
} blob;

typedef struct {
	bool used;
	blob at;         /* as it is in the newest picture that has it */
	uint32_t missed; /* pictures since */
	int side;        /* of the line, -1 or 1; 0 until it is clear */
	point sided;     /* where that was seen */
} track;

/* still is for how many milliseconds a cell has differed from the background and not changed,
 * last its colour then. before is what its background was before something stayed there: what
 * leaves uncovers it, and no hole is seen. */
typedef struct {
	uint16_t background[3]; /* in 1/256 */
	uint16_t still;
	uint8_t last[3], before[3];
	bool outside; /* of the zone */
} cell;

typedef struct {
	char name[MAX_NAME];
	place place;
	uint32_t width, height; /* of the grid; 0 before the first picture */
	cell cells[CELLS];
	uint32_t inside; /* cells of the zone */
	track tracks[MAX_BLOBS];
	uint64_t clock;       /* of the newest picture, in ms */
	uint64_t adapted;     /* when the background followed the light */
	uint64_t quiet_until; /* no alert before */
	uint64_t busy_until;  /* something has moved here lately */
} view;

static view views[MAX_VIEWS];
static uint32_t view_count;

static double hold = 5;       /* s that pictures are kept after the last movement */
static double cooldown = 10;  /* s between two alerts of a view */
static double settle = 10;    /* s after which what stays becomes background */
static double threshold = 20; /* difference from the background that counts, of 255 */
static double area = 0.004;   /* share of the picture that is large enough to count */
static bool gate = true;

static uint64_t busy_until;  /* as long pictures of all views are kept */

/* ---- Configuration ---------------------------------------------------------------------- */

/* Logs why the plugin does not run. */
static uint32_t refuse(const char *where, const char *what)
{
	char room[400];
	edged_text t = EDGED_TEXT(room);
	edged_put(&t, "config: ");
	edged_put(&t, where);
	edged_put(&t, ": ");
	edged_put(&t, what);
	edged_log(EDGED_ERROR, t.to);
	return 1;
}

static bool fraction(edged_json v, float *out)
{
	double d;
	if (!edged_number(v, &d) || d < 0 || d > 1)
		return false;
	*out = (float)d;
	return true;
}

/* Two numbers from an array's position v on; what follows them. */
static edged_json read_point(edged_json v, point *p, bool *good)
{
	edged_json second = edged_next(v);
	*good = *good && fraction(v, &p->x) && fraction(second, &p->y);
	return edged_next(second);
}

static bool read_line(edged_json v, place *p)
{
	bool good = edged_kind(v) == EDGED_ARRAY;
	edged_json rest = read_point(edged_first(v), &p->line[0], &good);
	rest = read_point(rest, &p->line[1], &good);
	p->has_line = true;
	return good && !edged_kind(rest) && (p->line[0].x != p->line[1].x || p->line[0].y != p->line[1].y);
}

static bool read_zone(edged_json v, place *p)
{
	bool good = edged_kind(v) == EDGED_ARRAY;
	p->corners = 0;
	for (edged_json e = edged_first(v); good && edged_kind(e); e = edged_next(e)) {
		good = edged_kind(e) == EDGED_ARRAY && p->corners < MAX_CORNERS;
		if (good && edged_kind(read_point(edged_first(e), &p->zone[p->corners++], &good)))
			good = false;
	}
	p->has_zone = true;
	return good && p->corners >= 3;
}

/* Reads a member line or zone; *known says whether it is one, NULL that it is well. */
static const char *read_place(edged_json member, place *p, bool *known)
{
	*known = true;
	if (edged_key_is(member, "line"))
		return read_line(member, p) ? NULL : "line: two different points are needed, [left, top, right, bottom] from 0 to 1";
	if (edged_key_is(member, "zone"))
		return read_zone(member, p) ? NULL : "zone: 3 to 16 corners are needed, [[x, y], ...] from 0 to 1";
	*known = false;
	return NULL;
}

static uint32_t read_views(edged_json object)
{
	if (edged_kind(object) != EDGED_OBJECT)
		return refuse("views", "names of views are needed, and what is there");
	for (edged_json e = edged_first(object); edged_kind(e); e = edged_next(e)) {
		char name[MAX_NAME] = "?";
		view *v = NULL;
		bool first = true;
		edged_key(e, name, sizeof name);
		for (uint32_t i = 0; i < view_count; i++)
			if (edged_key_is(e, views[i].name))
				v = &views[i];
		if (!v)
			return refuse(name, "the scene has no such view");
		for (edged_json m = edged_first(e); edged_kind(m); m = edged_next(m)) {
			bool known;
			const char *bad;
			if (first) /* what is said of a view replaces what is said of all */
				v->place = (place){0};
			first = false;
			if ((bad = read_place(m, &v->place, &known)))
				return refuse(name, bad);
			if (!known)
				return refuse(name, "line and zone are possible");
		}
	}
	return 0;
}

static uint32_t read_number(edged_json v, const char *name, double *out, double most)
{
	if (edged_number(v, out) && *out >= 0 && *out <= most)
		return 0;
	char room[80];
	edged_text t = EDGED_TEXT(room);
	edged_put(&t, "a number from 0 to ");
	edged_put_int(&t, (int64_t)most);
	edged_put(&t, " is needed");
	return refuse(name, t.to);
}

static uint32_t configure(edged_json config)
{
	place all = {0};
	if (edged_kind(config) > EDGED_NULL && edged_kind(config) != EDGED_OBJECT)
		return refuse("all of it", "names and values are needed");
	for (edged_json e = edged_first(config); edged_kind(e); e = edged_next(e)) {
		bool known;
		const char *bad = read_place(e, &all, &known);
		char name[MAX_NAME] = "?";
		uint32_t wrong = 0;
		edged_key(e, name, sizeof name);
		if (bad)
			return refuse("all views", bad);
		if (edged_key_is(e, "hold"))
			wrong = read_number(e, name, &hold, 3600);
		else if (edged_key_is(e, "cooldown"))
			wrong = read_number(e, name, &cooldown, 86400);
		else if (edged_key_is(e, "settle"))
			wrong = read_number(e, name, &settle, 60);
		else if (edged_key_is(e, "threshold"))
			wrong = read_number(e, name, &threshold, 255);
		else if (edged_key_is(e, "area"))
			wrong = read_number(e, name, &area, 1);
		else if (edged_key_is(e, "gate"))
			wrong = edged_bool(e, &gate) ? 0 : refuse(name, "true or false is needed");
		else if (!known && !edged_key_is(e, "views"))
			wrong = refuse(name, "there is no such setting");
		if (wrong)
			return wrong;
	}
	for (uint32_t i = 0; i < view_count; i++)
		views[i].place = all;
	edged_json each = edged_get(config, "views");
	if (edged_kind(each) && read_views(each))
		return 1;
	for (uint32_t i = 0; i < view_count; i++) {
		place *p = &views[i].place;
		if (!p->has_line && !p->has_zone) {
			p->has_line = true;
			p->line[0] = (point){0.5f, 0};
			p->line[1] = (point){0.5f, 1};
		}
	}
	return 0;
}

uint32_t edged_on_start(const void *input, uint32_t size)
{
	edged_json start = edged_parse(input, size);
	for (edged_json e = edged_first(edged_get(start, "views")); edged_kind(e); e = edged_next(e)) {
		if (view_count == MAX_VIEWS || edged_string(e, views[view_count].name, MAX_NAME) < 0) {
			edged_log(EDGED_ERROR, "more than 16 views, or one with a name of more than 127 bytes");
			return 1;
		}
		view_count++;
	}
	return configure(edged_get(start, "config"));
}

/* ---- From a picture to blobs ------------------------------------------------------------ */

static const uint8_t (*picture)[3]; /* a colour for each cell */
static bool differs[CELLS];

/* Sets picture to the averages of boxes of the frame, one for each cell. */
static void shrink(const edged_frame *f, uint32_t width, uint32_t height)
{
	static uint8_t averages[CELLS][3];
	const uint8_t (*pixels)[3] = (const uint8_t (*)[3])edged_pixels(f);
	picture = pixels;
	if (f->width == width && f->height == height)
		return;
	picture = (const uint8_t (*)[3])averages;
	for (uint32_t y = 0; y < height; y++)
		for (uint32_t x = 0; x < width; x++) {
			uint32_t sum[3] = {0}, n = 0;
			for (uint32_t v = y * f->height / height; v < (y + 1) * f->height / height; v++)
				for (uint32_t u = x * f->width / width; u < (x + 1) * f->width / width; u++, n++)
					for (int c = 0; c < 3; c++)
						sum[c] += pixels[v * f->width + u][c];
			for (int c = 0; c < 3; c++)
				averages[y * width + x][c] = (uint8_t)(sum[c] / n);
		}
}

static bool inside(const place *p, point at)
{
	bool in = false;
	for (uint32_t i = 0, j = p->corners - 1; i < p->corners; j = i++) {
		point a = p->zone[i], b = p->zone[j];
		if ((a.y > at.y) != (b.y > at.y) && at.x < (b.x - a.x) * (at.y - a.y) / (b.y - a.y) + a.x)
			in = !in;
	}
	return in;
}

static point centre_of(const view *v, uint32_t i)
{
	return (point){((float)(i % v->width) + 0.5f) / (float)v->width, ((float)(i / v->width) + 0.5f) / (float)v->height};
}

static void become_background(cell *c, const uint8_t colour[3])
{
	for (int k = 0; k < 3; k++) {
		c->before[k] = (uint8_t)(c->background[k] >> 8);
		c->background[k] = (uint16_t)(colour[k] << 8);
	}
	c->still = 0;
}

/* Takes the picture for the background, and forgets what was followed. */
static void learn(view *v)
{
	v->inside = 0;
	for (uint32_t i = 0; i < v->width * v->height; i++) {
		become_background(&v->cells[i], picture[i]);
		become_background(&v->cells[i], picture[i]); /* before, too */
		v->cells[i].outside = v->place.has_zone && !inside(&v->place, centre_of(v, i));
		v->inside += !v->cells[i].outside;
	}
	for (int i = 0; i < MAX_BLOBS; i++)
		v->tracks[i].used = false;
}

/* Whether two colours are further apart than a limit. */
static bool apart(const uint8_t a[3], int r, int g, int b, int limit)
{
	uint32_t most = 2 * (uint32_t)limit;
	return (uint32_t)(a[0] - r + limit) > most || (uint32_t)(a[1] - g + limit) > most || (uint32_t)(a[2] - b + limit) > most;
}

/* Sets differs for the cells that are not background, ms after the picture before, and
 * returns how many they are. */
static uint32_t compare(view *v, uint32_t ms)
{
	uint32_t n = 0, light = 0;
	int limit = (int)threshold;
	if (v->clock - v->adapted >= 1000) { /* the steps of less time would be rounded away */
		light = v->clock - v->adapted < ADAPT * 1000 ? (uint32_t)(v->clock - v->adapted) : ADAPT * 1000;
		v->adapted = v->clock;
	}
	for (uint32_t i = 0; i < v->width * v->height; i++) {
		cell *c = &v->cells[i];
		const uint8_t *p = picture[i];
		differs[i] = !c->outside && apart(p, c->background[0] >> 8, c->background[1] >> 8, c->background[2] >> 8, limit);
		if (differs[i]) {
			uint32_t still = apart(p, c->last[0], c->last[1], c->last[2], limit / 2) ? 0 : c->still + ms;
			c->still = still > UINT16_MAX ? UINT16_MAX : (uint16_t)still;
			for (int k = 0; k < 3; k++)
				c->last[k] = p[k];
			if (c->still < settle * 1000 && apart(p, c->before[0], c->before[1], c->before[2], limit)) {
				n++;
				continue;
			}
			differs[i] = false;
			become_background(c, p);
		}
		c->still = 0;
		if (light)
			for (int k = 0; k < 3; k++)
				c->background[k] = (uint16_t)(c->background[k] + ((p[k] << 8) - c->background[k]) * (int32_t)light / (ADAPT * 1000));
	}
	return n;
}

static uint16_t cells[CELLS]; /* of a group */
static int8_t owner[CELLS];   /* the track of each, as its place; -1: none is known */

/* Fills cells with the group of cells that differ around one, and returns how many they are. */
static uint32_t spread(const view *v, uint32_t from)
{
	uint32_t n = 0;
	differs[from] = false;
	cells[n++] = (uint16_t)from;
	for (uint32_t head = 0; head < n; head++) {
		int32_t x = (int32_t)(cells[head] % v->width), y = (int32_t)(cells[head] / v->width);
		for (int32_t ny = y - NEAR; ny <= y + NEAR; ny++)
			for (int32_t nx = x - NEAR; nx <= x + NEAR; nx++) {
				uint32_t near = (uint32_t)(ny * (int32_t)v->width + nx);
				if (nx < 0 || ny < 0 || nx >= (int32_t)v->width || ny >= (int32_t)v->height || !differs[near])
					continue;
				differs[near] = false;
				cells[n++] = (uint16_t)near;
			}
	}
	return n;
}

static float square(float a)
{
	return a * a;
}

/* The square of how far two colours are apart, of cells or blobs. */
#define COLOURS(a, b) (square((a)[0] - (b)[0]) + square((a)[1] - (b)[1]) + square((a)[2] - (b)[2]))

/* Says to which of the tracks that have met each of the n cells belongs: to the one that it is nearest to, for its
 * size, and most like. */
static void divide(const view *v, uint32_t n, const track *met[], uint32_t count)
{
	for (uint32_t i = 0; i < n; i++) {
		point p = centre_of(v, cells[i]);
		float least = 0;
		for (uint32_t j = 0; j < count; j++) {
			const blob *b = &met[j]->at;
			float share = (float)b->cells / (float)(v->width * v->height);
			float d = (square(p.x - b->centre.x) + square(p.y - b->centre.y)) / share + COLOURS(picture[cells[i]], b->colour) / (UNLIKE * UNLIKE);
			if (j && d >= least)
				continue;
			least = d;
			owner[i] = (int8_t)(met[j] - v->tracks);
		}
	}
}

/* Lists the tracks that were within the bounds of a group of n cells in the picture before; returns how many they are. */
static uint32_t within(const view *v, uint32_t n, const track *met[MAX_BLOBS])
{
	point least = {1, 1}, most = {0, 0};
	uint32_t count = 0;
	for (uint32_t i = 0; i < n; i++) {
		point p = centre_of(v, cells[i]);
		least = (point){p.x < least.x ? p.x : least.x, p.y < least.y ? p.y : least.y};
		most = (point){p.x > most.x ? p.x : most.x, p.y > most.y ? p.y : most.y};
	}
	for (const track *t = v->tracks; t < v->tracks + MAX_BLOBS; t++) {
		point p = t->at.centre;
		if (t->used && p.x >= least.x && p.x <= most.x && p.y >= least.y && p.y <= most.y)
			met[count++] = t;
	}
	return count;
}

/* Adds a blob of the cells that are of one owner to the count that there are, of which the MAX_BLOBS largest remain;
 * returns how many. */
static uint32_t add(const view *v, blob blobs[MAX_BLOBS], uint32_t count, uint32_t n, int of)
{
	blob b = {{0, 0}, 0, {0, 0, 0}, of};
	for (uint32_t i = 0; i < n; i++) {
		if (owner[i] != of)
			continue;
		point c = centre_of(v, cells[i]);
		b.cells++;
		b.centre.x += c.x;
		b.centre.y += c.y;
		for (int k = 0; k < 3; k++)
			b.colour[k] += picture[cells[i]][k];
	}
	if (b.cells < area * (v->width * v->height) || (count == MAX_BLOBS && b.cells <= blobs[count - 1].cells))
		return count;
	b.centre.x /= (float)b.cells;
	b.centre.y /= (float)b.cells;
	for (int k = 0; k < 3; k++)
		b.colour[k] /= (float)b.cells;
	uint32_t place = count < MAX_BLOBS ? count++ : count - 1;
	for (; place > 0 && blobs[place - 1].cells < b.cells; place--)
		blobs[place] = blobs[place - 1];
	blobs[place] = b;
	return count;
}

/* Groups the cells that differ; the MAX_BLOBS largest groups that are large enough. One in which several tracks have
 * met is divided among them. */
static uint32_t group(const view *v, blob blobs[MAX_BLOBS])
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < v->width * v->height; i++) {
		if (!differs[i])
			continue;
		const track *met[MAX_BLOBS];
		uint32_t n = spread(v, i), tracks = within(v, n, met);
		if (tracks < 2) {
			for (uint32_t j = 0; j < n; j++)
				owner[j] = -1;
			count = add(v, blobs, count, n, -1);
			continue;
		}
		divide(v, n, met, tracks);
		for (uint32_t j = 0; j < tracks; j++)
			count = add(v, blobs, count, n, (int)(met[j] - v->tracks));
	}
	return count;
}

/* ---- Following blobs -------------------------------------------------------------------- */

static void tell(view *v, const char *what, const char *tag, const char *direction)
{
	char room[300];
	edged_text t = EDGED_TEXT(room);
	edged_put(&t, what);
	edged_put(&t, v->name);
	edged_put(&t, direction);
	if (v->clock < v->quiet_until)
		return;
	v->quiet_until = v->clock + (uint64_t)(cooldown * 1000);
	edged_emit(&(edged_alert){.text = t.to, .tags = {tag}, .view = v->name});
}

/* The distance of p from the line on one side of it, or that below 0 on the other. */
static float off(const point line[2], point p)
{
	float dx = line[1].x - line[0].x, dy = line[1].y - line[0].y;
	return (dx * (p.y - line[0].y) - dy * (p.x - line[0].x)) / __builtin_sqrtf(dx * dx + dy * dy);
}

/* Tells when the way from a to b, points on two sides of the line, crosses it between its ends. */
static void cross(view *v, point a, point b)
{
	const point *line = v->place.line;
	float dx = line[1].x - line[0].x, dy = line[1].y - line[0].y;
	float from = off(line, a), to = off(line, b), way = from / (from - to);
	point at = {a.x + way * (b.x - a.x), a.y + way * (b.y - a.y)};
	float along = ((at.x - line[0].x) * dx + (at.y - line[0].y) * dy) / (dx * dx + dy * dy);
	if (along < 0 || along > 1)
		return;
	float right = to > 0 ? -dy : dy, down = to > 0 ? dx : -dx; /* across the line, the way it went */
	const char *direction = right * right >= down * down ? (right > 0 ? ", left to right" : ", right to left")
	                                                     : (down > 0 ? ", top to bottom" : ", bottom to top");
	tell(v, "something crossed the line at ", "crossing", direction);
}

static void move(view *v, track *t, const blob *to)
{
	/* What has become much larger or smaller has met something, or parted from it: its centre
	 * has moved without it. */
	if (to->of < 0 && (to->cells > t->at.cells * 2 || t->at.cells > to->cells * 2))
		t->side = 0;
	t->at = *to;
	t->missed = 0;
	if (!v->place.has_line)
		return;
	float d = off(v->place.line, to->centre);
	int side = d > MARGIN ? 1 : d < -MARGIN ? -1 : 0;
	if (!side)
		return;
	if (t->side && side != t->side)
		cross(v, t->sided, to->centre);
	t->side = side;
	t->sided = to->centre;
}

/* How unlike a blob and one of the picture before are: 1 is too far apart to be the same. */
static float unlike(const blob *a, const blob *b)
{
	return (square(a->centre.x - b->centre.x) + square(a->centre.y - b->centre.y)) / (REACH * REACH) + COLOURS(a->colour, b->colour) / (FADE * FADE);
}

/* Gives each blob to its track, or else to the one that is nearest, the nearest pair first, and new
 * tracks to the blobs that remain. */
static void follow(view *v, const blob blobs[MAX_BLOBS], uint32_t n)
{
	bool taken[MAX_BLOBS] = {false}, fresh[MAX_BLOBS] = {false};
	for (uint32_t j = 0; j < n; j++)
		if (blobs[j].of >= 0) {
			fresh[blobs[j].of] = taken[j] = true;
			move(v, &v->tracks[blobs[j].of], &blobs[j]);
		}
	for (;;) {
		float least = 1;
		int from = -1;
		uint32_t to = 0;
		for (int i = 0; i < MAX_BLOBS; i++)
			for (uint32_t j = 0; j < n; j++) {
				if (!v->tracks[i].used || fresh[i] || taken[j])
					continue;
				float d = unlike(&v->tracks[i].at, &blobs[j]);
				if (d >= least)
					continue;
				least = d;
				from = i;
				to = j;
			}
		if (from < 0)
			break;
		fresh[from] = taken[to] = true;
		move(v, &v->tracks[from], &blobs[to]);
	}
	for (int i = 0; i < MAX_BLOBS; i++)
		if (v->tracks[i].used && !fresh[i] && ++v->tracks[i].missed >= FORGET)
			v->tracks[i].used = false;
	for (uint32_t j = 0; j < n; j++)
		for (int i = 0; i < MAX_BLOBS && !taken[j]; i++)
			if (!v->tracks[i].used) {
				v->tracks[i] = (track){.used = true, .at = blobs[j]};
				move(v, &v->tracks[i], &blobs[j]);
				taken[j] = true;
			}
}

/* Whether something is in the view that is not its background. */
static bool look(view *v, uint32_t ms)
{
	blob blobs[MAX_BLOBS];
	uint32_t differing = compare(v, ms);
	if (differing > v->inside / 2) { /* the light or the camera's place has changed */
		learn(v);
		return true;
	}
	uint32_t n = differing ? group(v, blobs) : 0;
	follow(v, blobs, n);
	if (n && !v->place.has_line && v->clock >= v->busy_until)
		tell(v, "something came into the zone at ", "zone", "");
	return n > 0;
}

uint64_t edged_on_frame(const void *input, uint32_t size)
{
	const edged_frame *f = edged_frame_of(input, size);
	if (!f || f->view >= view_count)
		return EDGED_KEEP;
	view *v = &views[f->view];
	uint32_t width = f->width < GRID_WIDTH ? f->width : GRID_WIDTH, height = f->height < GRID_HEIGHT ? f->height : GRID_HEIGHT;
	uint64_t ms = f->clock > v->clock ? f->clock - v->clock : 0;
	bool busy = false;
	shrink(f, width, height);
	v->clock = f->clock;
	if (v->width != width || v->height != height) {
		v->width = width;
		v->height = height;
		learn(v);
		busy = true; /* how it looks here is to be seen once */
	} else if (look(v, ms < ADAPT * 1000 ? (uint32_t)ms : ADAPT * 1000)) {
		busy = true;
	}
	if (busy) {
		uint64_t until = f->clock + (uint64_t)(hold * 1000);
		v->busy_until = until;
		if (until > busy_until)
			busy_until = until;
	}
	return gate && f->clock > busy_until ? edged_skip() : EDGED_KEEP;
}
