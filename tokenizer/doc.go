// Package tokenizer is the RWKV World tokenizer: text is cut, on its UTF-8 bytes,
// by repeatedly taking the longest entry of the vocabulary.
//
// A vocabulary comes from the authors' text file ([Parse]) or from the list of
// tokens in a model file ([FromTokens]); any subset will do. One that lacks single
// bytes cannot encode every text: [Vocabulary.Encode] then says at which position
// of the text and in which word. Id 0 is padding and end of text ([End]) and no
// token.
//
// Decoding works on bytes and is incremental: a [Decoder] gives out text as soon
// as it is complete UTF-8 and replaces what can never become valid by U+FFFD. (The
// authors' decoder returns one U+FFFD for a whole answer with one bad byte.)
//
// A [Vocabulary] is read-only after it is made and safe for use by many
// goroutines.
package tokenizer
