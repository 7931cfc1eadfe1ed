// Command localkube is a whole Kubernetes in one binary: every component, the API's store and kubectl.
//
// The component to run is the name the binary is called by (a link kubectl -> localkube runs kubectl), or else the
// first argument. Each one is the upstream command, unchanged, with its own flags; they share one binary because they
// share most of their code, which makes one build of a few minutes out of seven.
package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	kubectl "k8s.io/kubectl/pkg/cmd"
	"k8s.io/kubectl/pkg/cmd/util"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

// components maps each name to what runs it; the result is the exit status. os.Args[0] is the name by then.
var components = map[string]func() int{
	"etcd":                    runEtcd,
	"kube-apiserver":          server(apiserver.NewAPIServerCommand),
	"kube-controller-manager": server(controllers.NewControllerManagerCommand),
	"kube-scheduler":          server(func() *cobra.Command { return scheduler.NewSchedulerCommand() }),
	"kubelet":                 server(func() *cobra.Command { return kubelet.NewKubeletCommand(context.Background()) }),
	"kube-proxy":              server(proxy.NewProxyCommand),
	"kubectl":                 runKubectl,
}

func main() {
	name := filepath.Base(os.Args[0])
	run, found := components[name]
	if !found && len(os.Args) > 1 {
		name = os.Args[1]
		os.Args = os.Args[1:]
		run, found = components[name]
	}
	if !found {
		known := slices.Sorted(maps.Keys(components))
		fmt.Fprintf(os.Stderr, "localkube: no component %q; use one of: %s\n", name, strings.Join(known, ", "))
		os.Exit(2)
	}
	os.Exit(run())
}

func server(command func() *cobra.Command) func() int {
	return func() int { return cli.Run(command()) }
}

// runEtcd leaves the process itself on failure.
func runEtcd() int {
	etcdmain.Main(os.Args)
	return 0
}

func runKubectl() int {
	if err := cli.RunNoErrOutput(kubectl.NewDefaultKubectlCommand()); err != nil {
		util.CheckErr(err)
	}
	return 0
}
