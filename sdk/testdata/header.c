/* Reads what ../header_test.go writes, a kind, a size and so many bytes each time, and prints a
 * line of what edged.h makes of it. Every input has an allocation of its own, so that the
 * sanitizer sees a read beside it. */
#include <stdio.h>
#include <stdlib.h>

#include "../edged.h"

void edged_import_log(uint32_t level, const char *line, uint32_t size)
{
	printf("log %u %.*s\n", (unsigned)level, (int)size, line);
}

void edged_import_emit(const char *json, uint32_t size)
{
	printf("emit %.*s\n", (int)size, json);
}

int64_t edged_import_clock(void)
{
	return 0;
}

static char decoded[1 << 16];

/* As [its bytes in hexadecimal, what edged_put_json makes of it up to a zero]. */
static void print_string(int32_t size)
{
	static char room[6 * sizeof decoded + 3];
	edged_text t = EDGED_TEXT(room);
	if (size < 0)
		abort();
	printf("[\"");
	for (int32_t i = 0; i < size; i++)
		printf("%02x", (unsigned char)decoded[i]);
	edged_put_json(&t, decoded);
	printf("\",%s]", t.full ? "full" : t.to);
}

/* Objects as arrays of names and values. */
static void print(edged_json v)
{
	double number;
	bool truth;
	const char *comma = "";
	switch (edged_kind(v)) {
	case EDGED_NULL:
		printf("null");
		break;
	case EDGED_BOOL:
		printf("%s", edged_bool(v, &truth) && truth ? "true" : "false");
		break;
	case EDGED_NUMBER:
		if (edged_number(v, &number))
			printf("%.17g", number);
		else
			printf("\"too large\"");
		break;
	case EDGED_STRING:
		print_string(edged_string(v, decoded, sizeof decoded));
		if (!edged_is(v, decoded) && edged_length(decoded) == (uint32_t)edged_string(v, decoded, sizeof decoded))
			abort();
		break;
	case EDGED_ARRAY:
	case EDGED_OBJECT:
		printf("{\"list\":[");
		for (edged_json e = edged_first(v); edged_kind(e); e = edged_next(e)) {
			printf("%s", comma);
			comma = ",";
			if (edged_kind(v) == EDGED_OBJECT) {
				print_string(edged_key(e, decoded, sizeof decoded));
				if (edged_length(decoded) == (uint32_t)edged_key(e, decoded, sizeof decoded) && !edged_kind(edged_get(v, decoded)))
					abort();
				printf(",");
			}
			print(e);
		}
		printf("]}");
		break;
	default:
		printf("\"none\"");
	}
}

static void print_frame(const void *input, uint32_t size)
{
	const edged_frame *f = edged_frame_of(input, size);
	uint32_t sum = 0;
	if (!f) {
		printf("none\n");
		return;
	}
	for (uint32_t i = 0; i < f->width * f->height * 3; i++)
		sum = sum * 31 + edged_pixels(f)[i];
	printf("%u %u %u %u %u %u %llu %llu %llu %u\n", (unsigned)f->view, (unsigned)f->width, (unsigned)f->height, (unsigned)(f->flags & EDGED_FULL),
	       (unsigned)f->camera_width, (unsigned)f->camera_height, (unsigned long long)f->time, (unsigned long long)f->clock,
	       (unsigned long long)f->number, (unsigned)sum);
}

/* A text built in as many bytes as the input has, of the input and numbers. */
static void print_text(const char *input, uint32_t size)
{
	edged_text t = {malloc(size), 0, size, false};
	if (!t.to)
		abort();
	t.to[0] = 0;
	edged_put_int(&t, INT64_MIN);
	edged_put_bytes(&t, input, size / 4);
	edged_put_int(&t, INT64_MAX);
	edged_put_int(&t, 0);
	edged_put(&t, "!");
	printf("%u %d %s\n", (unsigned)t.size, t.full, t.to);
	free(t.to);
}

/* An alert and an answer whose texts are as long as the input. */
static void print_answers(char *input, uint32_t size)
{
	edged_alert alert = {input, {"a", "\"b\""}, "gate"};
	edged_caption_answer answer = {"replace", input, {"a", "b", "c", "d", "e", "f", "g", "h"}, NULL};
	input[size - 1] = 0;
	edged_emit(&alert);
	printf("%u\n", (unsigned)edged_answer(&answer));
}

int main(void)
{
	uint32_t size;
	int kind;
	while ((kind = getchar()) != EOF) {
		char *input;
		if (fread(&size, sizeof size, 1, stdin) != 1 || !(input = malloc(size ? size : 1)) || fread(input, 1, size, stdin) != size)
			return 1;
		switch (kind) {
		case 'j':
			print(edged_parse(input, size));
			if (edged_kind(edged_next(edged_parse(input, size))))
				abort();
			printf("\n");
			break;
		case 'f':
			print_frame(input, size);
			break;
		case 't':
			print_text(input, size);
			break;
		default:
			print_answers(input, size);
		}
		free(input);
	}
	return 0;
}
