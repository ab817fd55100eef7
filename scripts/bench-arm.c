// Counts the instructions that an arm64 program executes, by function, as a plugin of
// qemu-user (QEMU 7.2 and later, plugin API version 1).
//
//	gcc -O2 -shared -fPIC -o count.so bench-arm.c
//	qemu-aarch64 -plugin count.so,out=FILE PROGRAM...
//
// FILE gets a line "COUNT SYMBOL" for each function. The counts are exact for a program
// with one running thread. Debian has no package of qemu-plugin.h; what is used of it is
// declared here.

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
typedef struct qemu_info_t qemu_info_t;
enum qemu_plugin_op { QEMU_PLUGIN_INLINE_ADD_U64 };

EXPORT int qemu_plugin_version = 1;
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t, void (*)(qemu_plugin_id_t, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *, enum qemu_plugin_op, void *, uint64_t);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t, void (*)(qemu_plugin_id_t, void *), void *);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
const char *qemu_plugin_insn_symbol(const struct qemu_plugin_insn *);

// A translated block ends at a branch, so all of it belongs to one function.
struct block {
	uint64_t instructions;
	const char *symbol;
	struct block *next;
};

static struct block *blocks;
static const char *out;

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	struct block *b = calloc(1, sizeof *b);

	(void)id;
	b->symbol = qemu_plugin_insn_symbol(qemu_plugin_tb_get_insn(tb, 0));
	b->next = blocks;
	blocks = b;
	qemu_plugin_register_vcpu_tb_exec_inline(tb, QEMU_PLUGIN_INLINE_ADD_U64, &b->instructions, qemu_plugin_tb_n_insns(tb));
}

static void finished(qemu_plugin_id_t id, void *data)
{
	FILE *f = out ? fopen(out, "w") : stderr;

	(void)id;
	(void)data;
	if (!f) {
		perror(out);
		return;
	}
	for (struct block *b = blocks; b; b = b->next)
		if (b->symbol && b->instructions)
			fprintf(f, "%llu %s\n", (unsigned long long)b->instructions, b->symbol);
	if (f != stderr)
		fclose(f);
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv)
{
	(void)info;
	for (int i = 0; i < argc; i++)
		if (!strncmp(argv[i], "out=", 4))
			out = strdup(argv[i] + 4);
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	qemu_plugin_register_atexit_cb(id, finished, NULL);
	return 0;
}
