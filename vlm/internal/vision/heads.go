package vision

// Heads returns the number of attention heads of a published tower, by its
// width and number of blocks: unlike every other size it cannot be read off the
// shapes of the weights. It is false for a tower that is not in the table;
// model files then have to say.
func Heads(dim, depth int) (int, bool) {
	h, ok := heads[[2]int{dim, depth}]
	return h, ok
}

var heads = map[[2]int]int{
	{384, 12}:  6,  // ViT-S
	{768, 12}:  12, // ViT-B: SigLIP base, SAM
	{1024, 24}: 16, // ViT-L: DINOv2, CLIP, SigLIP large
	{1152, 27}: 16, // SigLIP so400m
}
