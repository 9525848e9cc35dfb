output "role_arns" {
  description = "ARNs of the roles by kind of process, and `execution`, which starts them."
  value       = merge({ for process, role in aws_iam_role.process : process => role.arn }, { execution = aws_iam_role.execution.arn })

  depends_on = [aws_iam_role_policy.process, aws_iam_role_policy.execution] # a task that starts without rights fails
}
