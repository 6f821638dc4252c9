//! Makes the built-in scheme from the committed tables. A broken table stops the process at once: the tables are
//! part of the binary, and the tests load them.

use super::{GroupVersion, ResourceInfo, Scheme, SubresourceInfo};
use crate::default;
use crate::schema::Name;
use crate::schema::parse::{self, Error, gvk_of};

const TYPES: &str = include_str!("../../data/types.txt");
const DEFAULTS: &str = include_str!("../../data/defaults.txt");
const RESOURCES: &str = include_str!("../../data/resources.txt");

pub(super) fn builtin() -> Scheme {
    let mut parsed = parse::parse_types(TYPES).expect("the committed table of types is well formed, tests load it");
    default::attach(&mut parsed.types, &parsed.by_name, DEFAULTS)
        .expect("the committed table of defaults is well formed, tests load it");
    let mut kinds = parsed.kinds;
    kinds.sort_unstable_by(|(a, _), (b, _)| (&a.kind, &a.group, &a.version).cmp(&(&b.kind, &b.group, &b.version)));
    let (group_versions, resources) =
        parse_resources(RESOURCES).expect("the committed table of resources is well formed, tests load it");
    Scheme { types: parsed.types, group_versions, resources, kinds, by_name: parsed.by_name }
}

/// Reader of `data/resources.txt`: `gv GROUP/VERSION`, below it `r PLURAL ...`, below that `s SUBRESOURCE ...`.
fn parse_resources(text: &'static str) -> Result<(Vec<GroupVersion>, Vec<Vec<ResourceInfo>>), Error> {
    let mut group_versions: Vec<GroupVersion> = Vec::new();
    let mut resources: Vec<Vec<ResourceInfo>> = Vec::new();
    for (position, line) in text.lines().enumerate() {
        let fail = |problem| Error { line: position + 1, text: line, problem };
        match line.split_once(' ') {
            Some(("gv", gv)) => {
                let (group, version) = gv.split_once('/').ok_or_else(|| fail("no group/version"))?;
                group_versions.push(GroupVersion { group: group.into(), version: version.into() });
                resources.push(Vec::new());
            }
            Some(("r", rest)) => {
                let gv = group_versions.last().ok_or_else(|| fail("resource before any group-version"))?;
                let resource = resource(gv, rest).ok_or_else(|| fail("bad resource"))?;
                resources.last_mut().ok_or_else(|| fail("no group-version"))?.push(resource);
            }
            Some(("s", rest)) => {
                let parent = resources.last_mut().and_then(|list| list.last_mut());
                let parent = parent.ok_or_else(|| fail("subresource before any resource"))?;
                parent.subresources.push(subresource(rest).ok_or_else(|| fail("bad subresource"))?);
            }
            _ if line.is_empty() || line.starts_with('#') => {}
            _ => return Err(fail("unknown line")),
        }
    }
    Ok((group_versions, resources))
}

fn resource(gv: &GroupVersion, line: &'static str) -> Option<ResourceInfo> {
    let mut words = line.split(' ');
    let mut resource = ResourceInfo {
        group: gv.group.clone(),
        version: gv.version.clone(),
        plural: words.next()?.into(),
        singular: words.next()?.into(),
        kind: words.next()?.into(),
        ..ResourceInfo::default()
    };
    for fact in words {
        match fact.split_once('=').unwrap_or((fact, "")) {
            ("namespaced", "") => resource.namespaced = true,
            ("returned", "") => resource.delete_returns_object = true,
            ("short", names) => resource.short_names = split(names),
            ("in", names) => resource.categories = split(names),
            ("verbs", names) => resource.verbs = split(names),
            ("stored", gv) => {
                let (group, version) = gv.split_once('/')?;
                resource.storage_group = group.into();
                resource.storage_version = version.into();
            }
            ("hash", hash) => resource.storage_version_hash = hash.into(),
            ("key", prefix) => resource.key_prefix = prefix.into(),
            _ => return None,
        }
    }
    Some(resource)
}

fn subresource(line: &'static str) -> Option<SubresourceInfo> {
    let mut words = line.split(' ');
    let name = words.next()?;
    let gvk = gvk_of(words.next()?)?;
    let verbs = words.next().map(split).unwrap_or_default();
    Some(SubresourceInfo { name: name.into(), group: gvk.group, version: gvk.version, kind: gvk.kind, verbs })
}

fn split(names: &'static str) -> Vec<Name> {
    names.split(',').map(Name::Borrowed).collect()
}
