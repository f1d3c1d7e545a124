package outage

// queue is a heap of clients in the order of their arrival. So a client that returns gets its old place.
type queue []*Place

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].arrival < q[j].arrival }

func (q queue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].index, q[j].index = i, j
}

// Push implements heap.Interface.
func (q *queue) Push(x any) {
	p := x.(*Place)
	p.index = len(*q)
	*q = append(*q, p)
}

// Pop implements heap.Interface.
func (q *queue) Pop() any {
	last := len(*q) - 1
	p := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	p.index = -1
	return p
}
