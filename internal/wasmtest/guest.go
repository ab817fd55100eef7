package wasmtest

// Where a [Guest] has what, and the functions that it imports.
const (
	GuestInput  = 4096 // that it is given
	GuestAnswer = 1024
	GuestLog    = 0
	GuestEmit   = 1
)

// Guest is a plugin whose functions for frames and captions, which are given the place and the
// length of their input, are code that leaves the place and length of their answer; nil: it has none.
func Guest(frame, caption []byte, data ...Data) []byte {
	m := &Module{
		Imports: []Import{{"edged", "log", "iii", ""}, {"edged", "emit", "ii", ""}},
		Funcs: []Func{
			{Export: "edged_abi_version", Results: "i", Code: I32(1)},
			{Export: "edged_alloc", Params: "i", Results: "i", Code: I32(GuestInput)},
		},
		Pages: 4, Data: data,
	}
	if frame != nil {
		m.Funcs = append(m.Funcs, Func{Export: "edged_on_frame", Params: "ii", Results: "I", Code: frame})
	}
	if caption != nil {
		m.Funcs = append(m.Funcs, Func{Export: "edged_on_caption", Params: "ii", Results: "I", Code: caption})
	}
	return m.Bytes()
}

// Answers is code of a [Guest] that answers always the same, which is to lie in its memory.
func Answers(answer string) (code []byte, data Data) {
	return I64(GuestAnswer<<32 | int64(len(answer))), Data{GuestAnswer, answer}
}

// Captioner is a plugin that answers every caption with the same JSON.
func Captioner(answer string) []byte {
	code, data := Answers(answer)
	return Guest(nil, code, data)
}
