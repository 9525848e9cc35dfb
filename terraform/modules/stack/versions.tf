terraform {
  required_version = ">= 1.11" # write-only arguments

  required_providers {
    aws = {
      source                = "hashicorp/aws"
      version               = ">= 6.25"
      configuration_aliases = [aws.us_east_1] # for what CloudFront uses
    }
  }
}
