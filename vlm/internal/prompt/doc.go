// Package prompt turns a conversation about images into the token ids that the
// decoder reads, exactly as VisualRWKV was trained: cleaned turns, placeholders
// where image tokens go, and pieces tokenised apart that training tokenised apart.
// It also holds the small rules about images that go with it: how many tokens an
// image gets, which frames of a video are taken, how one large picture is cut.
//
// The rules are those of the authors' dataset.py and evaluate.py
// (howard-hou/VisualRWKV, v6.21 and v6.22, and v6.0 for the sandwich of its models);
// testdata/golden.json was made with that code.
package prompt
