package usage

import "time"

// Other is what is counted together: the key of requests for whose dimensions
// there was no room, and the code of refusals beyond those that a bucket tells
// apart.
const Other = "(other)"

// maxCodes is how many codes of refusals a bucket tells apart, beside Other.
const maxCodes = 32

// Add adds other counts to these.
func (c *Counts) Add(other *Counts) {
	c.Requests += other.Requests
	c.Errors += other.Errors
	c.BytesIn += other.BytesIn
	c.BytesOut += other.BytesOut
	for i, n := range other.Latency {
		c.Latency[i] += n
	}
	for code, n := range other.Refusals {
		c.refuse(code, n)
	}
}

// refuse counts n refusals.
func (c *Counts) refuse(code string, n int64) {
	if c.Refusals == nil {
		c.Refusals = make(map[string]int64, 1)
	}
	if _, known := c.Refusals[code]; !known && len(c.Refusals) >= maxCodes {
		code = Other
	}
	c.Refusals[code] += n
}

// sample counts one request.
func (c *Counts) sample(s *Sample) {
	c.Requests++
	if s.Failed {
		c.Errors++
	}
	c.BytesIn += s.BytesIn
	c.BytesOut += s.BytesOut
	if s.Took >= 0 {
		c.Latency[bucketOf(s.Took)]++
	}
	if s.Refusal != "" {
		c.refuse(s.Refusal, 1)
	}
}

// bucketOf returns the index of the latency bucket.
func bucketOf(took time.Duration) int {
	seconds := took.Seconds()
	for i, bound := range Bounds {
		if seconds <= bound {
			return i
		}
	}
	return len(Bounds)
}

// Percentile estimates the latency that a share p (0 to 1) of the requests did
// not exceed, as if they were spread evenly within their bucket. Of what took
// longer than the last bound, it says that bound. It is 0 without requests.
func (c *Counts) Percentile(p float64) time.Duration {
	var total int64
	for _, n := range c.Latency {
		total += n
	}
	rank, below, from := min(max(p, 0), 1)*float64(total), 0.0, 0.0
	for i, bound := range Bounds {
		n := float64(c.Latency[i])
		if n > 0 && below+n >= rank {
			return seconds(from + (bound-from)*(rank-below)/n)
		}
		below, from = below+n, bound
	}
	if total == 0 {
		return 0
	}
	return seconds(from)
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
