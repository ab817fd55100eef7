package tokenizer

import "unicode/utf8"

// Decode returns the text of ids. It is what a [Decoder] gives out for them.
func (v *Vocabulary) Decode(ids []int) string {
	d := v.NewDecoder()
	var text []byte
	for _, id := range ids {
		text = d.AppendAdd(text, id)
	}
	return string(d.AppendFlush(text))
}

// Decoder turns ids into text one by one. A token may end inside a character: such
// bytes are held back, at most three, until the character is whole. Bytes that
// cannot become valid are replaced by U+FFFD, one for each longest run that could
// have begun a character (the practice of the Unicode standard, section 3.9), so
// the text does not depend on where tokens begin. [End] has no text; an id
// without a token is replaced by U+FFFD. It is for one goroutine.
type Decoder struct {
	v    *Vocabulary
	held []byte // a beginning of a character, at most utf8.UTFMax-1 bytes
	out  []byte
}

// NewDecoder returns a decoder for one text.
func (v *Vocabulary) NewDecoder() *Decoder { return &Decoder{v: v} }

// Add returns the text that is complete with one more id; often "".
func (d *Decoder) Add(id int) string {
	d.out = d.AppendAdd(d.out[:0], id)
	return string(d.out)
}

// Flush returns what was held back, as U+FFFD, and makes the decoder ready for
// another text.
func (d *Decoder) Flush() string {
	d.out = d.AppendFlush(d.out[:0])
	return string(d.out)
}

// AppendAdd is [Decoder.Add] appending to dst.
func (d *Decoder) AppendAdd(dst []byte, id int) []byte {
	if id == End {
		return dst
	}
	token := d.v.Token(id)
	if token == "" {
		return utf8.AppendRune(d.AppendFlush(dst), utf8.RuneError)
	}
	d.held = append(d.held, token...)
	return d.drain(dst, false)
}

// AppendFlush is [Decoder.Flush] appending to dst.
func (d *Decoder) AppendFlush(dst []byte) []byte { return d.drain(dst, true) }

// drain moves characters from held to dst, all of them if final.
func (d *Decoder) drain(dst []byte, final bool) []byte {
	b := d.held
	for len(b) > 0 {
		if !final && !utf8.FullRune(b) {
			break
		}
		r, n := utf8.DecodeRune(b)
		if r == utf8.RuneError && n == 1 {
			n = beginning(b)
			dst = utf8.AppendRune(dst, utf8.RuneError)
		} else {
			dst = append(dst, b[:n]...)
		}
		b = b[n:]
	}
	d.held = d.held[:copy(d.held, b)]
	return dst
}

// beginning returns how many of the first bytes of b, which hold no character,
// could begin one; at least 1.
func beginning(b []byte) int {
	n := 1
	for n < len(b) && n < utf8.UTFMax && !utf8.FullRune(b[:n+1]) {
		n++
	}
	return n
}
