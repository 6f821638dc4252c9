//! Amounts of each resource, as nodes offer and pods request them.

use std::collections::BTreeMap;

use super::Amount;

/// What a container that names no request is counted with where nodes are scored, so that such pods spread too.
/// Upstream: `schedutil.DefaultMilliCPURequest`.
pub(crate) const DEFAULT_MILLI_CPU: i64 = 100;
/// Upstream: `schedutil.DefaultMemoryRequest`.
pub(crate) const DEFAULT_MEMORY: i64 = 200 * 1024 * 1024;

/// A list of resources as plain integers. Upstream: `framework.Resource`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Resources {
    /// Thousandths of a core.
    pub milli_cpu: i64,
    /// Bytes.
    pub memory: i64,
    /// Bytes.
    pub ephemeral_storage: i64,
    /// How many pods (nodes only).
    pub pods: i64,
    /// Extended resources, huge pages and the like, sorted by name.
    pub scalar: Vec<(Box<str>, i64)>,
}

impl Resources {
    /// Reads a resource list of the API.
    pub(crate) fn from_list(list: &BTreeMap<String, Amount>) -> Self {
        let mut resources = Self::default();
        for (name, amount) in list {
            match name.as_str() {
                "cpu" => resources.milli_cpu = amount.milli_value(),
                "memory" => resources.memory = amount.value(),
                "ephemeral-storage" => resources.ephemeral_storage = amount.value(),
                "pods" => resources.pods = amount.value(),
                "storage" => {}
                scalar => resources.scalar.push((scalar.into(), amount.value())),
            }
        }
        resources
    }

    /// The amount of a scalar resource, 0 when absent.
    pub(crate) fn scalar(&self, name: &str) -> i64 {
        match self.scalar.binary_search_by(|(have, _)| (**have).cmp(name)) {
            Ok(at) => self.scalar[at].1,
            Err(_) => 0,
        }
    }

    /// Adds another list.
    pub(crate) fn add(&mut self, other: &Self) {
        self.change(other, 1);
    }

    /// Takes another list away.
    pub(crate) fn subtract(&mut self, other: &Self) {
        self.change(other, -1);
    }

    fn change(&mut self, other: &Self, sign: i64) {
        self.milli_cpu = self.milli_cpu.saturating_add(sign * other.milli_cpu);
        self.memory = self.memory.saturating_add(sign.saturating_mul(other.memory));
        self.ephemeral_storage = self.ephemeral_storage.saturating_add(sign.saturating_mul(other.ephemeral_storage));
        for (name, amount) in &other.scalar {
            let have = self.scalar_mut(name);
            *have = have.saturating_add(sign.saturating_mul(*amount));
        }
        if sign < 0 {
            self.scalar.retain(|(_, amount)| *amount != 0);
        }
    }

    /// Raises each amount to at least that of another list.
    pub(crate) fn raise_to(&mut self, other: &Self) {
        self.milli_cpu = self.milli_cpu.max(other.milli_cpu);
        self.memory = self.memory.max(other.memory);
        self.ephemeral_storage = self.ephemeral_storage.max(other.ephemeral_storage);
        for (name, amount) in &other.scalar {
            let have = self.scalar_mut(name);
            *have = (*have).max(*amount);
        }
    }

    pub(crate) fn scalar_mut(&mut self, name: &str) -> &mut i64 {
        let at = match self.scalar.binary_search_by(|(have, _)| (**have).cmp(name)) {
            Ok(at) => at,
            Err(at) => {
                self.scalar.insert(at, (name.into(), 0));
                at
            }
        };
        &mut self.scalar[at].1
    }
}
