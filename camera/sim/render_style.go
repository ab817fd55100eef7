package sim

// style is the appearance of one room. Colours are linear reflectances.
type style struct {
	floor            int // one of the floor kinds
	floorA, floorB   vec
	rug              int // 0 none, 1 square, 2 round
	rugA, rugB       vec
	wall, skirting   vec
	panel            bool // lower part of the walls in a darker tone
	door             vec
	windowX, windowW float64
	sky, land        vec
	art              vec

	light         vec // towards the light
	key           vec // its colour on a surface facing it
	above, below  vec // ambient light from above and from the floor
	sunPatch      float64
	gain          float64 // exposure
	noise         float64 // standard deviation in 1/255
	vignette      float64 // loss in the corners
	seed          uint64
	shadowX, slen float64 // strength of cast shadows; their length per height
}

const (
	floorPlanks = iota
	floorChecker
	floorCarpet
	floorTiles
	floorKinds
)

// rgb converts display values 0..255 to linear reflectance. Displays are taken
// to have gamma 2, whose inverse is the exact square root.
func rgb(r, g, b float64) vec {
	c := vec{r / 255, g / 255, b / 255}
	return c.times(c)
}

// Floors and walls stay in the middle tones and pale hues, so that objects of
// every colour, white too, stand out.
var (
	planks  = [][2]vec{{rgb(142, 108, 78), rgb(124, 92, 66)}, {rgb(112, 88, 70), rgb(98, 76, 60)}, {rgb(160, 132, 100), rgb(144, 116, 86)}, {rgb(118, 112, 106), rgb(104, 98, 93)}}
	checks  = [][2]vec{{rgb(138, 138, 140), rgb(88, 90, 94)}, {rgb(150, 140, 124), rgb(104, 94, 84)}, {rgb(128, 140, 142), rgb(84, 98, 104)}}
	carpets = [][2]vec{{rgb(112, 112, 116), rgb(100, 100, 104)}, {rgb(130, 120, 106), rgb(116, 106, 94)}, {rgb(98, 110, 116), rgb(88, 99, 104)}, {rgb(122, 108, 112), rgb(110, 97, 101)}}
	tiles   = [][2]vec{{rgb(142, 132, 120), rgb(100, 92, 84)}, {rgb(120, 128, 132), rgb(88, 94, 98)}, {rgb(146, 122, 106), rgb(110, 92, 80)}}
	walls   = []vec{rgb(164, 166, 160), rgb(168, 156, 140), rgb(142, 156, 166), rgb(150, 160, 146), rgb(170, 154, 150), rgb(152, 150, 162)}
	doors   = []vec{rgb(126, 92, 66), rgb(150, 148, 142), rgb(92, 104, 110), rgb(110, 84, 70)}
	rugs    = [][2]vec{{rgb(104, 98, 92), rgb(138, 130, 120)}, {rgb(84, 94, 104), rgb(122, 130, 136)}, {rgb(120, 102, 94), rgb(148, 132, 122)}}
)

func newStyle(l Look) style {
	h := mix(l.Seed ^ 0x726f6f6d)
	next := func() float64 { h = mix(h); return unit(h) }
	pick := func(n int) int { h = mix(h); return int(h>>33) % n }
	between := func(a, b float64) float64 { return lerp(a, b, next()) }
	s := style{seed: mix(l.Seed), floor: pick(floorKinds)}
	pal := [floorKinds][][2]vec{planks, checks, carpets, tiles}[s.floor]
	p := pal[pick(len(pal))]
	k := between(0.88, 1.1)
	s.floorA, s.floorB = p[0].mul(k), p[1].mul(k)
	s.rug = max(pick(5)-2, 0)
	r := rugs[pick(len(rugs))]
	s.rugA, s.rugB = r[0], r[1]
	s.wall = walls[pick(len(walls))].mul(between(0.9, 1.1))
	s.skirting = rgb(178, 176, 170)
	s.panel = pick(3) == 0
	s.door = doors[pick(len(doors))]
	s.windowX, s.windowW = between(-0.9, 0.9), between(0.42, 0.62)
	s.sky = rgb(150, 190, 235).lerp(rgb(225, 228, 230), next())
	s.land = rgb(96, 124, 84).lerp(rgb(120, 120, 110), next())
	s.art = rgb(120, 150, 160).lerp(rgb(170, 140, 120), next())

	a, up := between(0, 6.283), between(0.9, 1.2)
	sa, ca := sincos(a)
	su, cu := sincos(up)
	s.light = vec{float64(ca * cu), float64(sa * cu), su}
	s.slen = cu / su
	warm := between(-0.06, 0.06)
	s.key = vec{1 + warm, 1, 1 - warm}.mul(between(0.5, 0.62))
	s.above = vec{1 - float64(0.5*warm), 1, 1 + float64(0.5*warm)}.mul(between(0.46, 0.54))
	s.below = vec{1, 1, 1}.lerp(s.floorA.mul(4), 0.4).mul(0.24)
	s.shadowX = between(0.3, 0.45)
	if pick(2) == 0 {
		s.sunPatch = between(0.12, 0.3)
	}
	s.gain = between(0.98, 1.2)
	s.noise = between(0.8, 3)
	s.vignette = between(0.05, 0.14)
	return s
}

// paint returns the reflectance of an object colour.
func paint(c Color) vec {
	if int(c) < len(paints) {
		return paints[c]
	}
	return rgb(128, 128, 128)
}

var paints = [...]vec{
	Red:    rgb(214, 40, 38),
	Green:  rgb(38, 156, 62),
	Blue:   rgb(36, 84, 214),
	Yellow: rgb(244, 204, 36),
	White:  rgb(244, 244, 242),
	Purple: rgb(138, 48, 178),
}
