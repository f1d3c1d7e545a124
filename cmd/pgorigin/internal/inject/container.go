package inject

import (
	"path"
	"strconv"
)

// The charts use these names and folders, too. A test compares the containers of both with
// testdata/container.yaml.
const (
	containerName = "pgorigin"
	caVolume      = "pgorigin-ca"
	clientVolume  = "pgorigin-client"
	caFolder      = "/etc/pgorigin/ca"
	clientFolder  = "/etc/pgorigin/client"
	healthPort    = 9632
	imageUser     = 65532
)

// container has the fields of a Kubernetes Container that the sidecar uses, in the usual order.
type container struct {
	Name                     string          `json:"name"`
	Image                    string          `json:"image"`
	ImagePullPolicy          string          `json:"imagePullPolicy"`
	Args                     []string        `json:"args"`
	RestartPolicy            string          `json:"restartPolicy"`
	EnvFrom                  []envSource     `json:"envFrom,omitempty"`
	Env                      []envVar        `json:"env"`
	Ports                    []containerPort `json:"ports"`
	StartupProbe             probe           `json:"startupProbe"`
	LivenessProbe            probe           `json:"livenessProbe"`
	Resources                resources       `json:"resources"`
	SecurityContext          securityContext `json:"securityContext"`
	VolumeMounts             []volumeMount   `json:"volumeMounts,omitempty"`
	TerminationMessagePolicy string          `json:"terminationMessagePolicy"`
}

type envVar struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type envSource struct {
	ConfigMapRef objectName `json:"configMapRef"`
}

type objectName struct {
	Name string `json:"name"`
}

type containerPort struct {
	Name          string `json:"name"`
	ContainerPort int    `json:"containerPort"`
}

type probe struct {
	HTTPGet          httpGet `json:"httpGet"`
	PeriodSeconds    int     `json:"periodSeconds"`
	TimeoutSeconds   int     `json:"timeoutSeconds"`
	FailureThreshold int     `json:"failureThreshold"`
}

type httpGet struct {
	Path string `json:"path"`
	Port int    `json:"port"`
}

type resources struct {
	Requests quantities `json:"requests,omitzero"`
	Limits   quantities `json:"limits,omitzero"`
}

type quantities struct {
	CPU    string `json:"cpu,omitempty"`
	Memory string `json:"memory,omitempty"`
}

type securityContext struct {
	RunAsNonRoot             bool           `json:"runAsNonRoot"`
	RunAsUser                int            `json:"runAsUser"`
	RunAsGroup               int            `json:"runAsGroup"`
	ReadOnlyRootFilesystem   bool           `json:"readOnlyRootFilesystem"`
	AllowPrivilegeEscalation bool           `json:"allowPrivilegeEscalation"`
	Capabilities             capabilities   `json:"capabilities"`
	SeccompProfile           seccompProfile `json:"seccompProfile"`
}

type capabilities struct {
	Drop []string `json:"drop"`
}

type seccompProfile struct {
	Type string `json:"type"`
}

type volumeMount struct {
	Name      string `json:"name"`
	MountPath string `json:"mountPath"`
	ReadOnly  bool   `json:"readOnly"`
}

// volume has a Secret or a ConfigMap.
type volume struct {
	Name      string        `json:"name"`
	Secret    *secretSource `json:"secret,omitempty"`
	ConfigMap *objectName   `json:"configMap,omitempty"`
}

type secretSource struct {
	SecretName string `json:"secretName"`
}

// sidecar makes the container. This is its only definition. It is a native sidecar: the kubelet starts the
// next init container when the startup probe succeeds. There is no readiness probe, because it would count
// for the whole pod.
func sidecar(o Options) container {
	c := container{
		Name:            containerName,
		Image:           o.Image,
		ImagePullPolicy: o.ImagePullPolicy,
		Args:            []string{"run"},
		RestartPolicy:   "Always",
		Env:             sidecarEnv(o),
		Ports:           []containerPort{{Name: "pgorigin-http", ContainerPort: healthPort}},
		StartupProbe: probe{
			HTTPGet:       httpGet{Path: "/startupz", Port: healthPort},
			PeriodSeconds: 1, TimeoutSeconds: 2, FailureThreshold: 60,
		},
		LivenessProbe: probe{
			HTTPGet:       httpGet{Path: "/livez", Port: healthPort},
			PeriodSeconds: 10, TimeoutSeconds: 2, FailureThreshold: 3,
		},
		Resources: resources{
			Requests: quantities{CPU: o.CPURequest, Memory: o.MemoryRequest},
			Limits:   quantities{CPU: o.CPULimit, Memory: o.MemoryLimit},
		},
		SecurityContext: securityContext{
			RunAsNonRoot: true, RunAsUser: imageUser, RunAsGroup: imageUser, ReadOnlyRootFilesystem: true,
			Capabilities: capabilities{Drop: []string{"ALL"}}, SeccompProfile: seccompProfile{
				Type: "RuntimeDefault",
			},
		},
		TerminationMessagePolicy: "FallbackToLogsOnError",
	}
	if o.EnvConfigMap != "" {
		c.EnvFrom = []envSource{{ConfigMapRef: objectName{Name: o.EnvConfigMap}}}
	}
	if o.hasCA() {
		c.VolumeMounts = append(c.VolumeMounts, volumeMount{
			Name: caVolume, MountPath: caFolder, ReadOnly: true,
		})
	}
	if o.ClientSecret != "" {
		mount := volumeMount{Name: clientVolume, MountPath: clientFolder, ReadOnly: true}
		c.VolumeMounts = append(c.VolumeMounts, mount)
	}
	return c
}

// sidecarEnv lists the variables that are set. The health address is not on loopback: the probes of the
// kubelet use the address of the pod.
func sidecarEnv(o Options) []envVar {
	env := []envVar{{"PGORIGIN_UPSTREAM_ADDR", o.Upstream}}
	add := func(name, value string) {
		if value != "" {
			env = append(env, envVar{name, value})
		}
	}
	if o.ListenPort != defaultListenPort {
		add("PGORIGIN_LISTEN_ADDR", "127.0.0.1:"+o.ListenPort)
	}
	add("PGORIGIN_HEALTH_ADDR", ":"+strconv.Itoa(healthPort))
	add("PGORIGIN_TLS_SERVER_NAME", o.ServerName)
	if o.hasCA() {
		add("PGORIGIN_TLS_CA_FILE", path.Join(caFolder, o.CAKey))
	}
	if o.ClientSecret != "" {
		add("PGORIGIN_TLS_CERT_FILE", path.Join(clientFolder, "tls.crt"))
		add("PGORIGIN_TLS_KEY_FILE", path.Join(clientFolder, "tls.key"))
	}
	add("PGORIGIN_TLS_MIN_VERSION", o.MinVersion)
	add("PGORIGIN_LOG_LEVEL", o.LogLevel)
	return env
}

// volumes lists what the sidecar mounts. pgorigin notices new content without a restart.
func volumes(o Options) []volume {
	var list []volume
	switch {
	case o.CASecret != "":
		list = append(list, volume{Name: caVolume, Secret: &secretSource{SecretName: o.CASecret}})
	case o.CAConfigMap != "":
		list = append(list, volume{Name: caVolume, ConfigMap: &objectName{Name: o.CAConfigMap}})
	}
	if o.ClientSecret != "" {
		list = append(list, volume{Name: clientVolume, Secret: &secretSource{SecretName: o.ClientSecret}})
	}
	return list
}

// clientEnv leads libpq, and other clients with its variables, to the sidecar. It returns nil if the pod sets
// them itself.
func clientEnv(o Options) []envVar {
	if o.ClientEnv == "false" {
		return nil
	}
	return []envVar{{"PGHOST", "127.0.0.1"}, {"PGPORT", o.ListenPort}, {"PGSSLMODE", "disable"}}
}
