package prompt

import "math"

// EncoderTokens returns how many tokens of each image the state encoder reads when
// n images of tokens tokens (a square grid) share a budget of maxLen: all of them if
// they fit, else the largest smaller square grid that does. It is 0 if not even
// one token an image fits. (The authors' max_feature_len mode.)
//
// A stream cannot use it, since the number of images is not known beforehand; it
// reads a fixed number of tokens an image.
func EncoderTokens(n, tokens, maxLen int) int {
	if n < 1 || tokens < 1 {
		return 0
	}
	each := maxLen / n
	if tokens <= each {
		return tokens
	}
	side := int(math.Sqrt(float64(max(0, each))))
	return side * side
}

// Frames returns the indices of the frames that are taken from a video of
// available frames when wanted are asked for: evenly spaced with both ends, rounded
// half to even, or all of them if there are not more.
func Frames(available, wanted int) []int {
	if available < 1 || wanted < 1 {
		return nil
	}
	index := make([]int, min(available, wanted))
	if available <= wanted {
		for i := range index {
			index[i] = i
		}
		return index
	}
	// As numpy.linspace: i times the rounded step, and the end exactly.
	step := float64(available-1) / float64(max(wanted-1, 1))
	for i := range index {
		index[i] = int(math.RoundToEven(float64(i) * step))
	}
	if wanted > 1 {
		index[wanted-1] = available - 1
	}
	return index
}
