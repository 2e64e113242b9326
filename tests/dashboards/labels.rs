//! The metrics of the agent with their labels. Names and types come from the agent's own tables; labels
//! stand here, and runs beside real engines hold them against what `/metrics` shows.

use sidelight::model::{Kind, MetricDescriptor};
use sidelight::scrape::{flink, spark};
use sidelight::telemetry;
use std::collections::{BTreeMap, BTreeSet};

/// Labels besides those that all series of their origin have.
const MORE: &[(&str, &str)] = &[
    ("flink_checkpoint_failures_total", "reason"),
    ("flink_checkpoint_duration_window_seconds", "quantile"),
    ("flink_checkpoint_info", "backend external_path_hash mode unaligned"),
    ("flink_checkpoint_size_bytes", "kind"),
    ("flink_checkpoints_total", "outcome"),
    ("flink_cluster_info", "flink_version"),
    ("flink_job_exceptions_total", "exception label"),
    ("flink_job_info", "flink_version scheduler"),
    ("flink_job_rescale_seconds", "stat"),
    ("flink_job_rescale_total", "result"),
    ("flink_job_state", "state"),
    ("flink_job_state_seconds_total", "state"),
    ("flink_job_tasks", "status"),
    ("flink_jobs", "state"),
    ("flink_jm_heap_bytes", "kind"),
    ("flink_sink_committables", "vertex state"),
    ("flink_sink_send_errors_total", "vertex"),
    ("flink_sink_send_seconds", "vertex"),
    ("flink_slots", "state"),
    ("flink_source_emit_lag_seconds", "vertex stat"),
    ("flink_source_fetch_lag_seconds", "vertex stat"),
    ("flink_source_idle_seconds", "vertex"),
    ("flink_source_pending_records", "vertex"),
    ("flink_source_splits_unassigned", "vertex"),
    ("flink_source_watermark_drift_seconds", "vertex"),
    ("flink_task_alignment_seconds", "vertex"),
    ("flink_task_buffer_usage_ratio", "vertex direction"),
    ("flink_task_checkpoint_start_delay_seconds", "vertex"),
    ("flink_task_initialization_seconds", "vertex"),
    ("flink_task_mailbox_latency_seconds", "vertex"),
    ("flink_task_mailbox_queue", "vertex"),
    ("flink_taskmanager_heartbeat_age_seconds", "stat"),
    ("flink_tm_classes_loaded", "stat"),
    ("flink_tm_cpu_load_ratio", "stat"),
    ("flink_tm_gc_seconds_per_second", "stat"),
    ("flink_tm_heap_bytes", "kind stat"),
    ("flink_tm_managed_bytes", "kind stat"),
    ("flink_tm_metaspace_ratio", "stat"),
    ("flink_tm_netty_memory_ratio", "stat"),
    ("flink_tm_threads", "stat"),
    ("flink_vertex_backpressured_ratio", "vertex stat"),
    ("flink_vertex_busy_ratio", "vertex stat"),
    ("flink_vertex_bytes_total", "vertex direction"),
    ("flink_vertex_hard_backpressured_ratio", "vertex stat"),
    ("flink_vertex_idle_ratio", "vertex stat"),
    ("flink_vertex_late_records_dropped_total", "vertex"),
    ("flink_vertex_parallelism", "vertex"),
    ("flink_vertex_records_total", "vertex direction"),
    ("flink_vertex_skew_ratio", "vertex dimension"),
    ("flink_vertex_time_seconds_total", "vertex state"),
    ("flink_vertex_watermark_lag_seconds", "vertex stat"),
    ("job_final_snapshot", "source"),
    ("job_lag_seconds", "kind"),
    ("job_run_duration_seconds", "outcome"),
    ("job_run_info", "agent_version app_id attempt engine_version run_id user_id"),
    ("job_run_state", "state"),
    ("job_runs_total", "outcome"),
    ("sidelight_circuit_open", "exporter signal"),
    ("sidelight_cloudwatch_requests_total", "outcome"),
    ("sidelight_config_reloads_total", "outcome"),
    ("sidelight_dead_letters_bytes", "exporter"),
    ("sidelight_dead_letters_total", "exporter"),
    ("sidelight_exported_records_total", "exporter signal"),
    ("sidelight_exports_total", "exporter outcome"),
    ("sidelight_file_errors_total", "reason"),
    ("sidelight_files", "state"),
    ("sidelight_files_replaced_total", "reason"),
    ("sidelight_info", "version"),
    ("sidelight_lane_dropped_records_total", "exporter reason"),
    ("sidelight_lost_bytes_total", "reason"),
    ("sidelight_metric_batches_dropped_total", "exporter"),
    ("sidelight_otlp_requests_total", "signal outcome"),
    ("sidelight_otlp_sent_bytes_total", "signal"),
    ("sidelight_parked_records", "exporter"),
    ("sidelight_parked_targets", "exporter"),
    ("sidelight_queue_batches", "exporter signal"),
    ("sidelight_records_dropped_total", "reason"),
    ("sidelight_redaction_rules_info", "hash version"),
    ("sidelight_redaction_suspects_total", "kind"),
    ("sidelight_redactions_total", "strategy type"),
    ("sidelight_s3_uploads_total", "outcome"),
    ("sidelight_scrape_busy_ratio", "source"),
    ("sidelight_scrape_bytes_total", "source"),
    ("sidelight_scrape_cut_total", "source what"),
    ("sidelight_scrape_seconds_total", "source"),
    ("sidelight_scrapes_total", "source outcome"),
    ("sidelight_source_degraded", "source reason"),
    ("sidelight_spool_bytes", "exporter"),
    ("sidelight_spool_drained_batches_total", "exporter"),
    ("sidelight_spooled_batches_total", "exporter"),
    ("spark_app_executor_gc_seconds_by_kind_total", "gc"),
    ("spark_app_executor_gc_total", "gc"),
    ("spark_app_executors", "state"),
    ("spark_app_executors_removed_total", "reason"),
    ("spark_app_info", "deploy_mode java master scala spark_version"),
    ("spark_app_jobs", "state"),
    ("spark_app_jobs_total", "outcome"),
    ("spark_app_slots", "state"),
    ("spark_app_stages", "state"),
    ("spark_app_stages_total", "outcome"),
    ("spark_app_storage_memory_bytes", "location state"),
    ("spark_app_tasks_total", "outcome"),
    ("spark_executor_direct_peak_bytes", "stat"),
    ("spark_executor_execution_peak_bytes", "location stat"),
    ("spark_executor_heap_peak_bytes", "stat"),
    ("spark_executor_heap_peak_ratio", "stat"),
    ("spark_executor_mapped_peak_bytes", "stat"),
    ("spark_executor_offheap_peak_bytes", "stat"),
    ("spark_executor_rss_peak_bytes", "process stat"),
    ("spark_executor_storage_peak_bytes", "location stat"),
    ("spark_executor_unified_peak_bytes", "location stat"),
    ("spark_stage_max_partition_bytes", "dimension"),
    ("spark_stage_shuffle_blocks_fetched_total", "source"),
    ("spark_stage_shuffle_read_bytes_total", "source"),
    ("spark_stage_skew_ratio", "dimension"),
    ("spark_stage_speculative_tasks_total", "outcome"),
    ("spark_stage_spilled_bytes_total", "medium"),
    ("spark_stage_tail_ratio", "dimension"),
];
/// Of these there is one for a job, whatever its runs.
const WITHOUT_SLOT: [&str; 4] = [
    "job_runs_total",
    "job_run_duration_seconds",
    "job_last_success_timestamp_seconds",
    "job_last_end_timestamp_seconds",
];

/// Type and labels by name, as Prometheus has them.
#[derive(Debug)]
pub(super) struct Metrics(BTreeMap<String, (Kind, BTreeSet<&'static str>)>);

impl Metrics {
    /// All that the agent can emit.
    pub(super) fn of_the_agent() -> Self {
        let mut metrics = Self(BTreeMap::new());
        let (of_cluster, of_flink) = flink::metrics::METRICS.split_first().unwrap();
        for descriptor in spark::metrics::METRICS.iter().chain(of_flink).copied().flatten() {
            let base: &[&str] = if WITHOUT_SLOT.contains(&descriptor.name) {
                &["engine", "job_name"]
            } else {
                &["engine", "job_name", "slot"]
            };
            metrics.add(descriptor, base);
        }
        of_cluster.iter().for_each(|it| metrics.add(it, &["engine", "cluster"]));
        telemetry::own_descriptors().for_each(|it| metrics.add(it, &[]));
        for (name, _) in MORE {
            let is_known =
                metrics.0.contains_key(*name) || metrics.0.contains_key(&format!("{name}_bucket"));
            assert!(is_known, "{name} has labels here and is no metric of the agent");
        }
        metrics
    }

    fn add(&mut self, descriptor: &MetricDescriptor, base: &[&'static str]) {
        let more = MORE.iter().find(|(name, _)| *name == descriptor.name);
        let more = more.into_iter().flat_map(|(_, labels)| labels.split(' '));
        let labels: BTreeSet<&'static str> = base.iter().copied().chain(more).collect();
        if descriptor.kind != Kind::Histogram {
            self.0.insert(descriptor.name.to_owned(), (descriptor.kind, labels));
            return;
        }
        for suffix in ["_bucket", "_sum", "_count"] {
            let mut labels = labels.clone();
            labels.extend((suffix == "_bucket").then_some("le"));
            self.0.insert(format!("{}{suffix}", descriptor.name), (Kind::Counter, labels));
        }
    }

    /// The labels of a metric; none when there is no such metric.
    pub(super) fn labels(&self, name: &str) -> Option<&BTreeSet<&'static str>> {
        self.0.get(name).map(|(_, labels)| labels)
    }

    /// True if the table has labels for it.
    pub(super) fn is_described(&self, name: &str) -> bool {
        self.0.contains_key(name) && MORE.iter().any(|(described, _)| *described == name)
    }

    /// True for what only grows, parts of histograms too.
    pub(super) fn is_counter(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|(kind, _)| *kind == Kind::Counter)
    }
}
