output "queue_url_setting" {
  description = "PHOTO_RECOMMENDER_QUEUE_URL: the beginning of the queues' names."
  value       = "sqs://${var.name}"
}

output "queue_arns" {
  description = "The queues that workers receive from, by priority."
  value       = { for priority, made in aws_sqs_queue.priority : priority => made.arn }
}

output "queue_names" {
  description = "Names of the queues that workers receive from, by priority."
  value       = { for priority, made in aws_sqs_queue.priority : priority => made.name }
}

output "dead_letter_arns" {
  description = "The queue of dead letters, one for all priorities."
  value       = { dead = aws_sqs_queue.dead.arn }
}

output "dead_letter_names" {
  description = "Name of the queue of dead letters."
  value       = { dead = aws_sqs_queue.dead.name }
}
