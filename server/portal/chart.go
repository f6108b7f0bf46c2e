package portal

// A Spark is a small picture of numbers over time.
type Spark struct{ Values []int64 }

// A Chart is a picture of numbers over time.
type Chart struct{}
