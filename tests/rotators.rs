//! Real rotators beside the real agent: each line of each writer must come, in order.

mod kubelet;
mod log4j2;
mod logrotate;
mod spark_rolling;
mod yarn;
