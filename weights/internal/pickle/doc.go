// Package pickle decodes the part of Python's pickle format that a PyTorch
// state dict is written in, and nothing else.
//
// A pickle is a program for a stack machine. The full machine can import any
// module and call anything in it, so loading one from the internet is running
// it. This machine knows the 26 opcodes and the six globals that torch.save
// emits for a dictionary of tensors; every other opcode or global is refused
// by name, and the two callables it knows are not called but recorded:
//
//   - collections.OrderedDict() makes an empty dictionary;
//   - torch._utils._rebuild_tensor_v2(...) makes an [Object] that holds its
//     arguments, for the caller to check.
//
// # Memory
//
// Hostile pickles are small and ask for much. A value here is one 32-bit word:
// integers and strings are the offset of the opcode that pushed them, composite
// values an index into one arena of words. Arena, memo and stack are allocated
// once, before the program runs, and take at most 3 bytes for each byte of the
// pickle plus 80 KiB; a program that needs more than that is refused.
package pickle
