//! HorizontalPodAutoscalers: their metrics, now and wanted.

use super::*;

/// How many metrics the cell lists.
const SHOWN: usize = 2;

pub(in super::super) fn hpa_reference(autoscaler: &Value, _: &Context<'_>) -> Value {
    let target = |field: &str| str_at(autoscaler, &format!("spec.scaleTargetRef.{field}")).to_owned();
    format!("{}/{}", target("kind"), target("name")).into()
}

pub(in super::super) fn hpa_metrics(autoscaler: &Value, _: &Context<'_>) -> Value {
    // autoscaling/v1 knows one metric only.
    if let Some(target) = at(autoscaler, "spec.targetCPUUtilizationPercentage") {
        let current = at(autoscaler, "status.currentCPUUtilizationPercentage");
        return format!("cpu: {}/{target}%", current.map_or("<unknown>".to_owned(), |c| format!("{c}%"))).into();
    }
    let current = items_at(autoscaler, "status.currentMetrics");
    let metrics: Vec<String> =
        items_at(autoscaler, "spec.metrics").iter().enumerate().map(|(i, spec)| metric(spec, current.get(i))).collect();
    with_more(&metrics, SHOWN, ", ", "<none>").into()
}

fn metric(spec: &Value, status: Option<&Value>) -> String {
    let (source, name) = match str_at(spec, "type") {
        "External" => ("external", ""),
        "Pods" => ("pods", ""),
        "Object" => ("object", ""),
        "Resource" => ("resource", str_at(spec, "resource.name")),
        "ContainerResource" => ("containerResource", str_at(spec, "containerResource.name")),
        _ => return "<unknown type>".to_owned(),
    };
    let spec = spec.get(source).unwrap_or(&Value::Null);
    let current = status.and_then(|status| status.get(source));
    let now = |field: &str| current.map(|current| text_at(current, &format!("current.{field}")));
    // A source that is there without the value prints as Go prints a nil quantity.
    let quantity = |text: String| if text.is_empty() { "<nil>".to_owned() } else { text };
    let average = text_at(spec, "target.averageValue");
    let by_average = !average.is_empty() || source == "pods";
    match (source, by_average) {
        ("resource" | "containerResource", true) => {
            let current = now("averageValue").map_or("<unknown>".to_owned(), quantity);
            format!("{name}: {current}/{average}")
        }
        ("resource" | "containerResource", false) => {
            let percent = |text: String| (!text.is_empty()).then(|| format!("{text}%"));
            let current = now("averageUtilization").and_then(percent).unwrap_or_else(|| "<unknown>".to_owned());
            let target = percent(text_at(spec, "target.averageUtilization")).unwrap_or_else(|| "<auto>".to_owned());
            format!("{name}: {current}/{target}")
        }
        ("pods", _) => {
            format!("{}/{}", now("averageValue").map_or("<unknown>".to_owned(), quantity), quantity(average))
        }
        (_, true) => {
            let current = now("averageValue").filter(|text| !text.is_empty());
            format!("{}/{average} (avg)", current.unwrap_or_else(|| "<unknown>".to_owned()))
        }
        (_, false) => {
            let target = quantity(text_at(spec, "target.value"));
            format!("{}/{target}", now("value").map_or("<unknown>".to_owned(), quantity))
        }
    }
}
