# What the processes are told: settings in Parameter Store, secrets in Secrets Manager. Tasks get both as environment
# variables of the same names (`secrets` of a task definition), so that a new value needs a new deployment, and no code.

resource "aws_ssm_parameter" "setting" {
  for_each = var.settings

  # checkov:skip=CKV2_AWS_34: what is secret is no parameter but a secret, below; these are addresses and numbers.
  name        = "/${var.name}/${each.key}"
  description = "Setting ${each.key} of ${var.name}; docs/operator.md says what it means."
  type        = "String"
  value       = each.value
  tier        = length(each.value) > 4096 ? "Advanced" : "Standard"
  tags        = var.tags
}

# Made without a value: it is put in by hand (settings.md says how), so that no state and no plan ever holds it. A task
# that needs one which is still empty does not start, and says which.
resource "aws_secretsmanager_secret" "setting" {
  for_each = var.secret_settings

  # checkov:skip=CKV2_AWS_57: Flickr issues its secret, and Fernet keys are kept in a list that `rotation` can't edit: by hand.
  name                    = "${var.name}/${each.key}"
  description             = "Secret setting ${each.key} of ${var.name}; docs/operator.md says what it means."
  kms_key_id              = var.secrets_key_arn
  recovery_window_in_days = var.recovery_window_in_days
  tags                    = var.tags
}
