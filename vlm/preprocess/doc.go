// Package preprocess turns pictures into what a vision tower reads: packed
// 8-bit RGB, resized exactly as Pillow resizes, then normalised floats.
//
// The models were trained on pictures that went through
// PIL.Image.resize(size, BICUBIC), torchvision's ToTensor and Normalize, and a
// tower is sensitive to the difference between that filter and a cheaper one.
// [Resizer] therefore repeats Pillow's fixed-point arithmetic: its 8-bit
// results are equal to Pillow's to the byte.
//
// [Decode] reads PNG and JPEG from untrusted sources: a damaged picture is
// refused before memory for its pixels is taken.
package preprocess
