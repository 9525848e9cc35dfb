output "host" {
  description = "Name of the instance in DNS."
  value       = aws_db_instance.this.address
}

output "port" {
  description = "Port of the instance."
  value       = aws_db_instance.this.port
}

output "master_secret_arn" {
  description = "Secret with the JSON keys username and password."
  value       = aws_db_instance.this.master_user_secret[0].secret_arn
}

output "security_group_id" {
  description = "Security group of the database."
  value       = aws_security_group.this.id
}

output "instance_id" {
  description = "Name of the instance, for alarms and the dashboard."
  value       = aws_db_instance.this.identifier
}

output "create_command" {
  description = "What a task with the worker's image runs once, to make the databases mlflow and feast beside accounts."
  value       = ["python", "-c", file("${path.module}/create_databases.py")]
}
