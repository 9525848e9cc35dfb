output "topic_arn" {
  description = "SNS topic that alarms are told to."
  value       = aws_sns_topic.this.arn
}

output "dashboard_name" {
  description = "Name of the dashboard."
  value       = aws_cloudwatch_dashboard.this.dashboard_name
}

output "alarm_names" {
  description = "Names of the alarms, by runbook."
  value       = { for runbook, alarm in aws_cloudwatch_metric_alarm.this : runbook => alarm.alarm_name }
}
