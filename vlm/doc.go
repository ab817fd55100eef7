// Package vlm runs VisualRWKV-HM models: pictures in, text out, and between
// them a memory of fixed size that holds what was seen.
//
//	m, err := vlm.Open("model.gguf", nil)
//	s, err := m.NewStream()
//	err = s.See(ctx, frontView, sideView)   // one frame set
//	for piece, err := range s.Generate(ctx, "what left the room?", nil) { ... }
//
// # Memory
//
// A [Stream] carries the state of the model's state encoder from frame set to
// frame set. Cost and size of a frame set do not depend on how many came
// before. The decoder reads the image state, which is part of that memory, and
// the image tokens of the newest frame set; it starts afresh for every text.
// Both together are what [Stream.State] saves, so that a question can be
// answered later, or elsewhere, from the bytes alone and with the same bits.
//
// Models of plain RWKV-6 or RWKV-7 (variants "vanilla" and "rwkv7") have no state
// encoder. There the memory is the decoder's own state after the image tokens of
// all frame sets, as if they had all been in one prompt; a text begins with a copy
// of it. Those of v6.0 (variant "bidirectional") look at one picture at a time and
// carry nothing: their memory is the newest picture.
//
// # Files
//
// [Open] reads GGUF files made by `edged convert`, which hold everything, and
// the checkpoints they are made from (.pth whole or split, safetensors), which
// lack some hyperparameters and the vocabulary: see [Options].
//
// # Concurrency
//
// A [Model] is read-only and shared by any number of streams; a [Stream]
// belongs to one goroutine at a time. The arithmetic of a result does not
// depend on the number of threads: the same pictures and questions give the
// same bytes.
package vlm
