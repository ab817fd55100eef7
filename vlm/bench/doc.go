// Package bench measures how fast models run on this machine: decode, prefill,
// vision, several sequences in one pass, long contexts, start. It has random
// models of the published sizes for machines without a checkpoint, measures the
// machine's own read bandwidth beside them, and can run another program's
// benchmark on a model of the same size in alternation.
//
// Weights that are random cost what trained ones cost: no kernel looks at values.
package bench
