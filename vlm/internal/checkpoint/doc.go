// Package checkpoint reads what models are published as: the authors' checkpoints, vision
// towers as their own libraries save them, language models in llama.cpp's files. Whatever
// they are, their tensors get the authors' names and shapes, which are those of model files
// (docs/model-file.md). Nothing is computed before a tensor is read.
package checkpoint
