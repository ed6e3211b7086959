//! What can be wrong with YAML itself.

nonna_diag::declare_slugs! {
    /// Text that is not YAML.
    BAD_YAML = "bad-yaml", Error, "text that is not YAML";
}
