package rwkv

// Epsilons of the two norms, when [Dims] leaves them zero.
const (
	defaultLNEps = 1e-5
	// The group norm's epsilon is 1e-5 times the square of the reference
	// code's head_size_divisor, which is 8 in every published model.
	defaultGNEps = 1e-5 * 8 * 8
)

// Dims are the sizes of a stack of blocks.
type Dims struct {
	C int // width of a token
	H int // heads
	N int // head size; C = H*N
	F int // width inside channel mixing; 0 where only the state is wanted

	LNEps float32 // layer norm epsilon
	GNEps float32 // per-head group norm epsilon (ln_x)
}

// StateLen returns the number of elements of one wkv state, H*N*N.
func (d Dims) StateLen() int { return d.H * d.N * d.N }

func (d Dims) withDefaults() Dims {
	if d.LNEps == 0 {
		d.LNEps = defaultLNEps
	}
	if d.GNEps == 0 {
		d.GNEps = defaultGNEps
	}
	return d
}
