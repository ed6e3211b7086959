//! What a test needs of a machine, and what a skip says.

use std::fmt;

use nonna_bpf::Feature;

/// Something that a test cannot do without.
#[derive(Debug, Clone, Copy)]
pub enum Need {
    /// All capabilities.
    Root,
    /// A kernel feature, found by a real load.
    Feature(Feature),
    /// A kernel module by the name that [`MODULES`] lists, loaded or built in. In a guest it is loaded before the tests.
    Module(&'static str),
    /// A program on the `PATH`. It is packed into the guest with the libraries it needs.
    Tool(&'static str),
    /// A file or folder that is not part of the project.
    Path(&'static str),
    /// A kernel of its own: the test would disturb the machine that people work on.
    Guest,
    /// Anything else: a name and a probe that says what it found where the need is not met.
    Probe {
        /// Short name, in kebab case.
        name: &'static str,
        /// `Err` holds what was found instead.
        probe: fn() -> Result<(), String>,
    },
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Need::Root => f.write_str("root"),
            Need::Feature(feature) => write!(f, "feature {feature}"),
            Need::Module(name) => write!(f, "module {name}"),
            Need::Tool(name) => write!(f, "tool {name}"),
            Need::Path(path) => write!(f, "path {path}"),
            Need::Guest => f.write_str("guest"),
            Need::Probe { name, .. } => write!(f, "probe {name}"),
        }
    }
}

/// Why a test did not run: what it needs, and what is there instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skip {
    /// The need that is not met, as [`Need`] displays itself.
    pub need: String,
    /// What was found.
    pub found: String,
}

impl Skip {
    /// A skip for this need.
    pub fn new(need: impl fmt::Display, found: impl Into<String>) -> Self {
        Self { need: need.to_string(), found: found.into() }
    }
}

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "needs {}, found: {}", self.need, self.found)
    }
}

/// A kernel module that tests may need.
#[derive(Debug, Clone, Copy)]
pub struct ModuleInfo {
    /// Name of the module file, without ending.
    pub name: &'static str,
    /// The kernel's configuration symbol, without `CONFIG_`.
    pub config: &'static str,
}

/// Modules that tests may need. A kernel may have them built in, and then only its configuration tells.
pub const MODULES: &[ModuleInfo] = &[
    ModuleInfo { name: "8021q", config: "VLAN_8021Q" },
    ModuleInfo { name: "act_mirred", config: "NET_ACT_MIRRED" },
    ModuleInfo { name: "br_netfilter", config: "BRIDGE_NETFILTER" },
    ModuleInfo { name: "bridge", config: "BRIDGE" },
    ModuleInfo { name: "cls_bpf", config: "NET_CLS_BPF" },
    ModuleInfo { name: "dummy", config: "DUMMY" },
    ModuleInfo { name: "loop", config: "BLK_DEV_LOOP" },
    ModuleInfo { name: "netkit", config: "NETKIT" },
    ModuleInfo { name: "nf_conntrack", config: "NF_CONNTRACK" },
    ModuleInfo { name: "nf_tables", config: "NF_TABLES" },
    ModuleInfo { name: "overlay", config: "OVERLAY_FS" },
    ModuleInfo { name: "sch_ingress", config: "NET_SCH_INGRESS" },
    ModuleInfo { name: "sctp", config: "IP_SCTP" },
    ModuleInfo { name: "tun", config: "TUN" },
    ModuleInfo { name: "veth", config: "VETH" },
    ModuleInfo { name: "vxlan", config: "VXLAN" },
];
