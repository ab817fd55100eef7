// Package weights reads named tensors from the files that models are published
// in, and writes GGUF. It does no arithmetic beyond widening a float and knows
// no tensor by name.
//
// [Open] recognises a file by its content:
//
//   - PyTorch .pth: the zip archive of torch.save, with a pickle that is
//     decoded, not executed. Tensors may share storages, with offsets and
//     strides, as checkpoints of sharded training do.
//   - safetensors, and the JSON index of a sharded set of them.
//   - GGUF version 3.
//
// [OpenAll] merges several files, such as the halves that an export of
// VisualRWKV writes (one holds the language model, the other the rest), and
// [OpenEach] opens files whose names may clash.
//
// # Borrowed memory
//
// Files are memory-mapped and tensors point into the map: opening costs time
// and memory in proportion to the number of tensors, not to their size. Three
// things follow. What [Tensor.Data] and [Tensor.Bytes] return is read-only: a
// write faults. It is gone after [File.Close], and so is what the [Value]s of
// [File.Meta] refer to: a later read faults. And a file that another process
// truncates while it is open faults too, so replace a model by renaming a new
// file over it, as [WriteFile] does, never by writing into it. Names, shapes
// and what the accessors of a Value return are copies and stay valid.
//
// # Hostile files
//
// A checkpoint is a file from the internet. Every count, length and offset is
// checked against the file before anything is allocated or referred to, and
// all size arithmetic is checked for overflow, on 32-bit machines too. Opening
// allocates less than four times the size of the file plus 1 MiB whatever its
// content; a malformed file gives an error that wraps [ErrFormat] and names the
// file, the tensor or key, and the byte. Values are not judged: infinities and
// NaNs are a training run's business.
package weights
