package inject

// CheckInjected reports each pod and pod template that Inject would change or refuse, and what bypasses the
// sidecar, as a *Refusal. There is no stream.
func (i *Injector) CheckInjected(stream []byte) ([]byte, []Note, error) {
	return editBatches(stream, func(s *source, r *report) ([]byte, error) {
		var said report
		text, err := i.reinject(s, &said)
		r.problems = append(r.problems, said.problems...)
		if err != nil || len(said.problems) > 0 {
			return nil, err
		}
		after, err := parse(text, s.at)
		if err != nil {
			return nil, err
		}
		before := s.workloads()
		for index, w := range after.workloads() {
			_, recorded := before[index].pod.Metadata.Annotations[recordName]
			switch {
			case digest(before[index].template) == digest(w.template):
			case recorded:
				r.refuse(w, "its sidecar differs from what these flags make: run pgorigin inject again")
			default:
				r.refuse(w, "not injected: run pgorigin inject")
			}
		}
		for _, note := range said.notes {
			switch {
			case note.Wrong:
				r.problems = append(r.problems, note)
			case note.Text != injected:
				r.notes = append(r.notes, note)
			}
		}
		return nil, nil
	})
}
