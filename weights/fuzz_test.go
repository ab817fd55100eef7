package weights

import "testing"

func FuzzPth(f *testing.F) {
	for _, name := range []string{"flat.pth", "types.pth", "module.pth", "long1.pth", "cuda.pth", "bare.pth"} {
		f.Add(readTestdata(f, name))
	}
	f.Fuzz(fuzz)
}

// FuzzStateDict damages only the pickle of a .pth, so that more inputs reach
// the tensors.
func FuzzStateDict(f *testing.F) {
	for _, name := range []string{"flat.pth", "strided.pth"} {
		f.Add(pickleOf(f, name))
	}
	f.Add([]byte(dictOf(pickled{numel: "K\x78"})))
	f.Fuzz(func(t *testing.T, pkl []byte) { fuzz(t, archive(pkl)) })
}

func FuzzSafetensors(f *testing.F) {
	f.Add(safetensorsSample())
	f.Fuzz(fuzz)
}

func FuzzIndex(f *testing.F) {
	f.Add([]byte(indexSample))
	f.Fuzz(func(t *testing.T, data []byte) { meter(quickMeter).attackIndex(t, "input", data) })
}

func FuzzGGUF(f *testing.F) {
	f.Add(readTestdata(f, "ggml.gguf"))
	f.Fuzz(fuzz)
}

func fuzz(t *testing.T, data []byte) { meter(quickMeter).attack(t, "input", data) }
